"""What workers post while they fit, whatever they fit with."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import ray

MAX_TRACE_LINES = 12


@dataclass(frozen=True)
class Started:
    """A worker is up. `host` is its machine's name."""

    rank: int
    host: str
    pid: int
    node_id: str

    @classmethod
    def here(cls, rank: int) -> Self:
        """This process."""
        return cls(rank, socket.gethostname(), os.getpid(), ray.get_runtime_context().get_node_id())


@dataclass(frozen=True)
class Step:
    """So many boosting rounds or epochs are done."""

    done: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Share:
    """So much of the fit is done."""

    fraction: float
    eta_s: float | None


@dataclass(frozen=True)
class Saved:
    """What a restart goes on from."""

    model: bytes
    state: Any


@dataclass(frozen=True)
class Finished:
    """All workers have come to the end; `model` is None where it travels another way."""

    state: Any
    model: bytes | None = None


@dataclass(frozen=True)
class Failed:
    """A worker's own code raised. `trace`: its last lines."""

    rank: int
    host: str
    kind: str
    message: str
    trace: str

    @classmethod
    def of(cls, rank: int, error: BaseException) -> Self:
        """The exception that is being handled in this process."""
        lines = traceback.format_exception(error)
        last = "".join(lines).rstrip().splitlines()[-MAX_TRACE_LINES:]
        return cls(rank, socket.gethostname(), type(error).__name__, str(error), "\n".join(last))
