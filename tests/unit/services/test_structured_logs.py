"""Log lines as JSON."""

from __future__ import annotations

import json
import logging
import sys

from ray_app.services.structured_logs import JsonFormatter, of_request

JOB = "job_01m84f929qmghxq2tc9dnjvmv4"


def line(message: str, *arguments: object, error: bool = False) -> dict[str, object]:
    info = sys.exc_info() if error else None
    record = logging.LogRecord("ray_app.x", logging.INFO, "x.py", 1, message, arguments, info)
    found: dict[str, object] = json.loads(JsonFormatter().format(record))
    return found


def test_a_line_carries_the_ids_of_its_request_and_its_job() -> None:
    with of_request("abc"):
        told = line("released %s %s", JOB, "attempt 1")
    assert (told["message"], told["job_id"], told["request_id"]) == (f"released {JOB} attempt 1", JOB, "abc")
    assert told["level"] == "INFO"
    assert str(told["time"]).endswith("+00:00")
    assert "request_id" not in line("later"), "the id ends with its request"


def test_it_stays_one_line_whatever_is_logged() -> None:
    try:
        int('two\nlines and a "quote"')
    except ValueError:
        told = line("broken: %s", "a\nb\x00\ud800", error=True)
    assert '"quote"' in str(told["exception"])
    assert "\n" in str(told["message"])
