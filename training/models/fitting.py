"""What the families share while they fit: reading the rows, telling the observer, keeping to the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from training.data.table import TableSchema
from training.errors import DataError, FitError
from training.models.base import FitContext
from training.mts_scoring.columns import Feature, InputError

T = TypeVar("T")

REPORTS_PER_S = 5.0
"""Most reports a second: an observer that writes to a database must not slow the fit."""


def features_of(schema: TableSchema) -> tuple[Feature, ...]:
    """The columns that a model reads.

    Raises:
        DataError: there is none.
    """
    features = tuple(Feature(column.name, column.kind) for column in schema.features)
    if not features:
        raise DataError("no column is left as a feature", hint="check data.include and data.exclude")
    return features


def prepared(context: FitContext, key: Hashable, make: Callable[[], T]) -> T:
    """What an earlier fit on the same rows left under the key, or what is made now and left for the next one."""
    if context.prepared is None:
        return make()
    if key not in context.prepared:
        context.prepared[key] = make()
    kept: T = context.prepared[key]
    return kept


@contextmanager
def fit_errors(estimator: str, *library_errors: type[Exception]) -> Iterator[None]:
    """Turns what the library raises on valid data into FitError, and unreadable columns into DataError."""
    try:
        yield
    except InputError as error:
        raise DataError(str(error)) from error
    except MemoryError as error:
        raise FitError(f"{estimator}: out of memory", hint="ask for more with resources.memory_mb") from error
    except library_errors as error:
        raise FitError(f"{estimator}: {plain_message(error)}") from error


def plain_message(error: BaseException) -> str:
    """A library's message without source lines and native stack traces."""
    text = str(error).split("Stack trace")[0].strip()
    if text.startswith("["):  # XGBoost: "[13:07:37] /path/file.cc:111: message"
        text = text.split(": ", 1)[-1]
    return " ".join(text.split())


class FitReporter:
    """Tells the observer how far a fit is, at most REPORTS_PER_S times a second and once at the end."""

    def __init__(self, context: FitContext, total_steps: int, *, first_step: int = 0) -> None:
        self._observer = context.observer
        self._on_step = context.on_step
        self._deadline = context.deadline
        self._total = max(1, total_steps)
        self._first = first_step
        self._started = time.monotonic()
        self._next = 0.0
        self._done = first_step
        self._measured: tuple[int, dict[str, float]] | None = None
        """The newest metrics that were not told yet, and the step that they are of."""

    def step(self, done: int, metrics: Mapping[str, float]) -> bool:
        """Notes that `done` steps are done. True when the deadline has passed and the fit should stop.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """
        if self._on_step is not None and metrics:
            self._on_step(done, metrics)
        now = time.monotonic()
        self._done = done
        if metrics:
            self._measured = (done, dict(metrics))
        if now >= self._next:
            self._next = now + 1.0 / REPORTS_PER_S
            self._report(now)
        return self._deadline is not None and now >= self._deadline

    def finish(self) -> None:
        """Reports the last step, if that is still to do, and that the fit is complete."""
        if self._done > self._first:
            self._report(time.monotonic())
        self._observer.progress(1.0, 0.0)

    def _report(self, now: float) -> None:
        if self._measured is not None:
            step, metrics = self._measured
            self._measured = None
            self._observer.metrics(metrics, step)
        steps = max(1, self._done - self._first)
        eta_s = (now - self._started) / steps * (self._total - self._done)
        self._observer.progress(min(1.0, self._done / self._total), eta_s)
