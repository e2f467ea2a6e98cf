"""A webhook hears of an alarm, signed; nobody hears its address or secret."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from scripted_http import as_json, scripted_server

from training.errors import SpecError, UnavailableError
from training.monitoring.webhooks import find_webhook, send

FILE = "team:\n  url: http://127.0.0.1:{port}/hook\n  secret: hush\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "webhooks.yaml"


def test_names_that_the_operator_does_not_know_are_refused(file: Path) -> None:
    with pytest.raises(SpecError, match="no webhooks file"):
        find_webhook(None, "team")
    file.write_text(FILE.format(port=1))
    with pytest.raises(SpecError, match="nearest: team"):
        find_webhook(file, "teams")
    file.write_text("team: {url: 'ftp://x', secret: hush}")
    with pytest.raises(SpecError, match="cannot be read") as found:
        find_webhook(file, "team")
    assert "hush" not in str(found.value)


def test_an_event_is_posted_with_its_id_and_its_signature(file: Path) -> None:
    with scripted_server() as server:
        file.write_text(FILE.format(port=server.url.rpartition(":")[2]))
        server.on("POST /hook", as_json({}))
        assert send(find_webhook(file, "team"), {"event": "monitor.alarm"}, "alarm_1") == 200
        [request] = server.requests
    digest = hmac.new(b"hush", request.body, hashlib.sha256).hexdigest()
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["x-mts-signature"] == f"sha256={digest}"
    assert headers["x-mts-event-id"] == "alarm_1"


def test_a_webhook_that_is_away_is_worth_a_retry(file: Path) -> None:
    file.write_text(FILE.format(port=1))
    with pytest.raises(UnavailableError, match="does not answer") as found:
        send(find_webhook(file, "team"), {"a": 1}, "alarm_1")
    assert "127.0.0.1" not in str(found.value)
