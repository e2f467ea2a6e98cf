"""Log lines for machines: JSON, one object a line, with the ids of the request and of the job that they belong to."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_JOB_ID = re.compile(r"\bjob_[0-9a-hjkmnp-tv-z]{26}\b")
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


@contextmanager
def of_request(request_id: str) -> Iterator[None]:
    """Lines that are written meanwhile, in this task and those that it starts, carry the request's id."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, logger, message, request_id, job_id, and the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        message = record.getMessage()
        job = _JOB_ID.search(message)
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "request_id": _request_id.get(),
            "job_id": job[0] if job else None,
            "process": record.process,
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in told.items() if value is not None})


def set_up_logs(log_format: LogFormat) -> None:
    """Makes this process write its log lines to standard error in the operator's format."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
