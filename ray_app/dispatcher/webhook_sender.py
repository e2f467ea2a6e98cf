"""Delivers webhooks: at least once, in the background, each receiver for itself."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import httpx

from ray_app.jobs.store import utc_now
from ray_app.jobs.webhooks import Delivery, WebhookStore
from ray_app.services.addresses import allowed_address
from ray_app.services.webhook_signature import SIGNATURE_HEADER, sign
from ray_app.services.webhooks import Webhook, WebhookList
from training.errors import AccessError, UnavailableError

logger = logging.getLogger("ray_app.webhooks")

TIMEOUT_S = 5.0
"""For each step of a request: to connect, to send, to wait for the answer."""
THREADS = 4
MAX_ATTEMPTS = 10
FIRST_DELAY_S, MAX_DELAY_S = 5.0, 3600.0
"""Delays double from attempt to attempt: the tenth is 43 minutes after the first."""
IDLE_S = 1.0
GONE = 410


class Outcome(NamedTuple):
    """What an attempt came to; `error` is None where the receiver has it."""

    delivery_id: str
    error: str | None
    hopeless: bool = False
    """No further attempt will do."""


@dataclass(frozen=True)
class WebhookSender:
    """One step sends all that is due, at most one at a time to each receiver, so that a slow one delays nobody else.

    Args:
        store: where deliveries wait.
        webhooks: the receivers.
        first_delay_s: after the first failure.
        max_attempts: after so many a delivery is dead.
        now: the time of day.
    """

    store: WebhookStore
    webhooks: WebhookList
    first_delay_s: float = FIRST_DELAY_S
    max_attempts: int = MAX_ATTEMPTS
    now: Callable[[], datetime] = utc_now

    def step(self, pool: ThreadPoolExecutor, busy: set[str]) -> list[Future[Outcome]]:
        """Starts what is due to receivers that are not busy; each future leaves its receiver free again."""
        started = []
        for delivery in self.store.due(set(busy)):
            if delivery.webhook not in busy:
                busy.add(delivery.webhook)
                started.append(pool.submit(self._deliver, delivery, busy))
        return started

    def _deliver(self, delivery: Delivery, busy: set[str]) -> Outcome:
        try:
            outcome = self.attempt(delivery)
            if outcome.error is None:
                self.store.delivered(delivery)
            else:
                self.store.failed(delivery, outcome.error, self._again_at(delivery, outcome))
                logger.warning("webhook %s, %s: %s", delivery.webhook, delivery.id, outcome.error)
        finally:
            busy.discard(delivery.webhook)
        return outcome

    def attempt(self, delivery: Delivery) -> Outcome:
        """Sends a delivery once."""
        webhook = self.webhooks.now().get(delivery.webhook)
        if webhook is None:
            return Outcome(delivery.id, "the webhook is no longer in the list", hopeless=True)
        try:
            return _answered(delivery, _post(webhook, delivery))
        except (AccessError, UnavailableError) as error:
            return Outcome(delivery.id, error.message, hopeless=isinstance(error, AccessError))
        except httpx.TimeoutException:
            return Outcome(delivery.id, f"no answer within {TIMEOUT_S:g} s")
        except httpx.HTTPError as error:
            return Outcome(delivery.id, f"not reached: {type(error).__name__}")

    def _again_at(self, delivery: Delivery, outcome: Outcome) -> datetime | None:
        if outcome.hopeless or delivery.attempts + 1 >= self.max_attempts:
            return None
        delay_s = min(self.first_delay_s * 2**delivery.attempts, MAX_DELAY_S)
        return self.now() + timedelta(seconds=delay_s)


class SenderThread:
    """Steps a sender until it is closed. What it was sending when its process died is sent again."""

    def __init__(self, sender: WebhookSender) -> None:
        self._sender = sender
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something new is to be sent."""
        self._wake.set()

    def close(self) -> None:
        """Ends the thread after what it is sending."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        busy: set[str] = set()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
            while not self._closing:
                try:
                    for future in self._sender.step(pool, busy):
                        future.add_done_callback(lambda _: self._wake.set())
                except UnavailableError as error:
                    logger.warning("webhooks wait: %s", error.message)
                self._wake.wait(IDLE_S)
                self._wake.clear()


def _answered(delivery: Delivery, status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(delivery.id, None)
    if 300 <= status < 400:
        return Outcome(delivery.id, f"answered {status}; redirects are not followed")
    return Outcome(delivery.id, f"answered {status}", hopeless=status == GONE)


def _post(webhook: Webhook, delivery: Delivery) -> int:
    """Sends to the address that was checked, under the receiver's own name; answers the status, reads no body."""
    url = httpx.URL(webhook.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    address = allowed_address(url.host, port, allow_private=webhook.allow_private)
    body = json.dumps(delivery.event.model_dump(mode="json"), ensure_ascii=False).encode()
    headers = {
        "Host": url.netloc.decode(),
        "Content-Type": "application/json",
        "User-Agent": "model-training-service",
        SIGNATURE_HEADER: sign(webhook.secret.get_secret_value(), body, int(time.time())),
        "MTS-Event": delivery.event.type,
        "MTS-Delivery": delivery.id,
    }
    with (
        httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as http,
        http.stream(
            "POST", url.copy_with(host=address), content=body, headers=headers,
            extensions={"sni_hostname": url.host},
        ) as response,
    ):  # fmt: skip
        return response.status_code
