"""Webhooks over a real store and real HTTP: signed, delivered at least once, never where they must not go."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_app.client.webhooks import SignatureError, verify
from ray_app.dispatcher.webhook_sender import WebhookSender
from ray_app.jobs.store import JobStore
from ray_app.jobs.webhooks import DeliveryStatus, WebhookEvent
from ray_app.services.addresses import allowed_address
from ray_app.services.announcements import of_training
from ray_app.services.webhook_signature import sign
from ray_app.services.webhooks import WebhookList
from training.errors import AccessError, ConflictError, NotFoundError, UnavailableError

SECRET = "a secret of the receiver"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Receiver:
    """An HTTP server that answers as it is told and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: handler.send_response(204)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                receiver.answer(self)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=x"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[JobStore]:
    opened = JobStore(store_url, clock=clock)
    yield opened
    opened.close()


def listed(folder: Path, *webhooks: dict[str, Any]) -> WebhookList:
    path = folder / "webhooks.yaml"
    path.write_text(yaml.safe_dump({"webhooks": [{"id": "risk", "secret": SECRET, **one} for one in webhooks]}))
    return WebhookList(path)


def event(number: int = 1, **changes: Any) -> WebhookEvent:
    return WebhookEvent(**{"id": f"evt_{number}_{time.time_ns()}", "type": "version.promoted", "created_at": NOW,
                           "model": "german", "version": "3", "data": {"by": "ann"}} | changes)  # fmt: skip


def send(sender: WebhookSender) -> list[Any]:
    with ThreadPoolExecutor(4) as pool:
        return [future.result() for future in sender.step(pool, set())]


def test_a_receiver_gets_a_signed_event_once(store: JobStore, receiver: Receiver, tmp_path: Path, clock: Clock) -> None:
    hooks = listed(tmp_path, {"url": receiver.url, "allow_private": True})
    told = event()
    store.webhooks.add(told, hooks.receivers(told))
    store.webhooks.add(told, hooks.receivers(told))  # told again, as after a crash
    sender = WebhookSender(store.webhooks, hooks, now=clock)
    (outcome,) = send(sender)
    assert outcome.error is None
    assert send(sender) == []
    ((headers, body),) = receiver.got
    assert WebhookEvent.model_validate_json(body) == told
    assert verify(SECRET, headers["MTS-Signature"], body) > 0
    assert headers["MTS-Event"] == "version.promoted"
    assert headers["Host"] == receiver.url.split("/")[2]
    assert store.webhooks.page(DeliveryStatus.DELIVERED, 1).items[0].event == told


def test_a_receiver_that_is_down_gets_it_when_it_is_back(
    store: JobStore, receiver: Receiver, tmp_path: Path, clock: Clock
) -> None:
    hooks = listed(tmp_path, {"url": receiver.url, "allow_private": True})
    receiver.answer = lambda handler: handler.send_response(503)
    told = event()
    store.webhooks.add(told, hooks.receivers(told))
    sender = WebhookSender(store.webhooks, hooks, first_delay_s=5, now=clock)
    for attempt in range(3):
        (outcome,) = send(sender)
        assert outcome.error == "answered 503"
        assert send(sender) == [], "not before its time"
        clock.time += timedelta(seconds=5 * 2**attempt)
    receiver.answer = lambda handler: handler.send_response(200)
    (outcome,) = send(sender)
    assert outcome.error is None
    assert len(receiver.got) == 4


def test_after_the_last_attempt_it_is_dead_and_can_be_replayed(
    store: JobStore, receiver: Receiver, tmp_path: Path, clock: Clock
) -> None:
    hooks = listed(tmp_path, {"url": receiver.url, "allow_private": True})
    receiver.answer = lambda handler: handler.send_response(500)
    told = event()
    store.webhooks.add(told, hooks.receivers(told))
    sender = WebhookSender(store.webhooks, hooks, max_attempts=2, now=clock)
    send(sender)
    clock.time += timedelta(hours=1)
    send(sender)
    clock.time += timedelta(days=1)
    assert send(sender) == []
    dead = next(one for one in store.webhooks.page(DeliveryStatus.DEAD).items if one.event.id == told.id)
    assert (dead.attempts, dead.last_error) == (2, "answered 500")
    receiver.answer = lambda handler: handler.send_response(200)
    store.webhooks.replay(dead.id)
    with pytest.raises(ConflictError, match="on its way"):
        store.webhooks.replay(dead.id)
    (outcome,) = send(sender)
    assert outcome.error is None
    with pytest.raises(NotFoundError):
        store.webhooks.replay("whd_nothing")


def test_a_redirect_is_not_followed(store: JobStore, receiver: Receiver, tmp_path: Path) -> None:
    other = Receiver()

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", other.url)

    receiver.answer = redirect
    hooks = listed(tmp_path, {"url": receiver.url, "allow_private": True})
    store.webhooks.add(event(), ["risk"])
    (outcome,) = send(WebhookSender(store.webhooks, hooks, now=lambda: NOW))
    other.close()
    assert outcome.error == "answered 302; redirects are not followed"
    assert other.got == []


def test_a_slow_receiver_is_left_and_delays_nobody(
    store: JobStore, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray_app.dispatcher.webhook_sender.TIMEOUT_S", 0.3)
    released = threading.Event()
    slow = Receiver()
    slow.answer = lambda handler: released.wait(60) and None
    hooks = listed(tmp_path, {"id": "slow", "url": slow.url, "allow_private": True},
                   {"id": "quick", "url": receiver.url, "allow_private": True})  # fmt: skip
    told = event()
    store.webhooks.add(told, hooks.receivers(told))
    by_error = {outcome.error for outcome in send(WebhookSender(store.webhooks, hooks, now=lambda: NOW))}
    released.set()
    slow.close()
    assert by_error == {None, "no answer within 0.3 s"}
    assert len(receiver.got) == 1


def test_many_events_for_a_slow_receiver_leave_room_for_those_to_others(store: JobStore, tmp_path: Path) -> None:
    for number in range(40):
        store.webhooks.add(event(number), ["slow"])
    store.webhooks.add(event(), ["quick"])
    assert {one.webhook for one in store.webhooks.due({"slow"})} == {"quick"}


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9/", "http://localhost:9/", "http://10.1.2.3/", "http://169.254.169.254/latest/meta-data",
     "http://[::1]:9/", "http://[::ffff:127.0.0.1]:9/", "http://0.0.0.0:9/", "http://2130706433/", "http://0x7f.1/",
     "http://017700000001/", "http://127.1/", "http://100.64.0.1/", "http://192.0.0.1/", "http://224.0.0.1/",
     "http://[fe80::1]:9/", "http://[fd00::1]:9/", "http://[fec0::1]:9/", "http://[ff02::1]:9/", "http://[::]:9/",
     "http://[::7f00:1]:9/", "http://[64:ff9b::7f00:1]:9/", "http://[2002:7f00:1::]:9/",
     "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:9/"],
)  # fmt: skip
def test_a_forbidden_address_is_never_called(store: JobStore, tmp_path: Path, url: str) -> None:
    hooks = listed(tmp_path, {"url": url})
    told = event()
    store.webhooks.add(told, ["risk"])
    (outcome,) = send(WebhookSender(store.webhooks, hooks, now=lambda: NOW))
    assert outcome.hopeless
    assert "not a public address" in outcome.error
    assert store.webhooks.page(DeliveryStatus.DEAD, 1).items[0].event.id == told.id


def test_a_name_that_leads_elsewhere_when_it_is_asked_again_gets_nobody_in(
    store: JobStore, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray_app.dispatcher.webhook_sender.TIMEOUT_S", 0.3)
    port = receiver.server.server_port
    asked: list[str] = []

    def rebinding(host: str, *_arguments: object, **_options: object) -> list[Any]:
        # an attacker's name server; that of a real one cannot be had here
        asked.append(host)
        leads_to = host if host[0].isdigit() else "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (leads_to, port))]

    monkeypatch.setattr("socket.getaddrinfo", rebinding)
    hooks = listed(tmp_path, {"url": f"http://rebind.example:{port}/"})
    store.webhooks.add(event(), ["risk"])
    (outcome,) = send(WebhookSender(store.webhooks, hooks, now=lambda: NOW))
    assert outcome.error is not None
    assert asked[0] == "rebind.example"
    assert set(asked[1:]) <= {"93.184.216.34"}, "the name is asked once, and what it gave is called"
    assert receiver.got == []


def test_a_name_with_one_address_inside_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_arguments, **_options: both)
    with pytest.raises(AccessError, match=r"10\.0\.0\.1"):
        allowed_address("both.example", 80, allow_private=False)


def test_a_public_address_is_allowed_and_an_unknown_name_is_not_an_answer() -> None:
    assert allowed_address("93.184.216.34", 443, allow_private=False) == "93.184.216.34"
    assert allowed_address("127.0.0.1", 80, allow_private=True) == "127.0.0.1"
    with pytest.raises(AccessError):
        allowed_address("192.168.1.1", 80, allow_private=False)
    with pytest.raises(UnavailableError):
        allowed_address("no-such-name.invalid", 80, allow_private=False)


def test_only_those_who_want_an_event_hear_of_it(tmp_path: Path) -> None:
    hooks = listed(tmp_path, {"id": "all", "url": "https://a.example/"},
                   {"id": "alarms", "url": "https://a.example/", "events": ["monitor.alarm"]},
                   {"id": "cards", "url": "https://a.example/", "models": ["card-*"]})  # fmt: skip
    assert hooks.receivers(event()) == ["all"]
    assert hooks.receivers(event(model="card-fraud", type="monitor.alarm")) == ["all", "alarms", "cards"]


def test_a_faulty_file_keeps_what_was_and_shows_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hooks = listed(tmp_path, {"url": "https://a.example/"})
    assert list(hooks.now()) == ["risk"]
    (tmp_path / "webhooks.yaml").write_text(
        yaml.safe_dump({"webhooks": [{"id": "risk", "url": "ftp://x", "secret": "short-secret"}]})
    )
    assert list(hooks.now()) == ["risk"]
    assert "url must be" in caplog.text
    assert "short-secret" not in caplog.text


def test_a_finished_job_and_its_events_are_stored_together(store: JobStore) -> None:
    job, _ = store.create("train", "german", {})
    attempt = store.assign_attempt(job.id)
    store.started(job.id, attempt)
    result = {"model": {"name": "german", "version": "4"}, "gate": {"decision": "promote"}, "metrics": {}}
    events = of_training(job.id, result, "http://service")
    assert [one.type for one in events] == ["version.registered", "version.promoted"]
    store.succeed(job.id, attempt, result, announced=[(one, ["risk"]) for one in events])
    waiting = [one.event.id for one in store.webhooks.page(DeliveryStatus.PENDING).items]
    assert set(waiting) >= {one.id for one in events}
    store.succeed(job.id, attempt, result, announced=[(one, ["risk"]) for one in events])
    assert len(store.webhooks.page(DeliveryStatus.PENDING).items) == len(waiting)


@pytest.mark.parametrize(
    ("header", "body", "now", "words"),
    [
        (sign(SECRET, b"{}", 1000), b"{} ", 1000, "does not fit"),
        (sign("another secret here", b"{}", 1000), b"{}", 1000, "does not fit"),
        (sign(SECRET, b"{}", 1000), b"{}", 2000, "too old"),
        (sign(SECRET, b"{}", 1000).replace("t=1000", "t=1900"), b"{}", 2000, "does not fit"),
        ("v1=abc", b"{}", 1000, "malformed"),
        ("t=x,v1=abc", b"{}", 1000, "malformed"),
        ("", b"{}", 1000, "malformed"),
    ],
)
def test_a_request_that_was_not_signed_so_is_refused(header: str, body: bytes, now: int, words: str) -> None:
    with pytest.raises(SignatureError, match=words):
        verify(SECRET, header, body, now=now)
    assert verify(SECRET, sign(SECRET, body, now), body, now=now) == now


def test_events_are_documented_json() -> None:
    assert json.loads(event().model_dump_json())["type"] == "version.promoted"
