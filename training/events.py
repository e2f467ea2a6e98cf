"""How a running pipeline tells the world what it does: one interface, implemented by MLflow tracking, by the job
dispatcher's reporter, and by the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

Phase = Literal["load", "check", "fit", "evaluate", "register"]
PHASES: tuple[Phase, ...] = ("load", "check", "fit", "evaluate", "register")

logger = logging.getLogger("training")


class Observer(Protocol):
    """Hears what a pipeline does.

    Called from one thread, in order. An observer must return quickly (no network wait on the path of a fit) and must
    not change what it is given. It may raise JobCancelledError from `progress` and `waiting`, which ends the job;
    nothing else.
    """

    def phase(self, phase: Phase) -> None:
        """A phase begins."""

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Share of the present phase that is done, in [0, 1].

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """

    def waiting(self, message: str) -> None:
        """What the job waits for, for people; "" when it goes on. May be called often.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Figures of the running fit, such as {"validation/log_loss": 0.5} after boosting round `step`."""

    def log(self, message: str) -> None:
        """A line for people."""


class SilentObserver:
    """Hears everything and does nothing."""

    def phase(self, phase: Phase) -> None:
        """Does nothing."""

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Does nothing."""

    def waiting(self, message: str) -> None:
        """Does nothing."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Does nothing."""

    def log(self, message: str) -> None:
        """Does nothing."""


class Observers:
    """Passes each call on to several observers, in order."""

    def __init__(self, members: Sequence[Observer]) -> None:
        self._members = tuple(members)

    def phase(self, phase: Phase) -> None:
        """A phase begins."""
        for member in self._members:
            member.phase(phase)

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Share of the present phase that is done."""
        for member in self._members:
            member.progress(fraction, eta_s)

    def waiting(self, message: str) -> None:
        """What the job waits for."""
        for member in self._members:
            member.waiting(message)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Figures of the running fit."""
        for member in self._members:
            member.metrics(values, step)

    def log(self, message: str) -> None:
        """A line for people."""
        for member in self._members:
            member.log(message)


class _ToObserver(logging.Handler):
    def __init__(self, observer: Observer) -> None:
        super().__init__(level=logging.INFO)
        self._observer = observer

    def emit(self, record: logging.LogRecord) -> None:
        self._observer.log(self.format(record))


@contextmanager
def logging_to(observer: Observer) -> Iterator[None]:
    """Sends what the package logs to the observer while the context lasts."""
    handler = _ToObserver(observer)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    previous = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(previous)
