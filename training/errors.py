"""What can go wrong while a model is trained, as a tree.

    TrainingError                 every error that is meant for the caller
    ├── SpecError                 the spec cannot work, whatever the data are
    ├── DataError                 the data cannot be read or cannot be used
    │   └── AccessError           the operator does not allow that source
    ├── FitError                  an estimator failed on valid data (diverged, out of memory)
    │   └── WorkerLostError       workers of one fit died, hung or lost their node too often
    ├── NotFoundError             no such model, version or alias
    ├── ConflictError             the request does not fit the present state
    ├── ResourceError             no node of the cluster can ever hold the job
    ├── JobCancelledError         somebody asked the job to stop
    └── UnavailableError          a service that we need is away; worth a retry

Errors are built from facts, keep them as attributes, and survive pickling, because they travel between processes.
Nothing here knows of HTTP: the edge maps each class to a status in one table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

MAX_SHOWN_VALUE_CHARS = 200


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the field (dotted path in the spec, "" if none), the value found there, what to do."""

    field: str
    value: Any
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Wire form; the value is cut so that an error never carries a whole table."""
        return {"field": self.field, "value": shown(self.value), "message": self.message}


@dataclass(frozen=True)
class ErrorDetails:
    """The facts behind an error, in the form in which the job store keeps them."""

    type: str
    message: str
    hint: str = ""
    retryable: bool = False
    problems: tuple[Problem, ...] = field(default=())


class TrainingError(Exception):
    """Base of all errors meant for the caller.

    Args:
        message: one sentence that names what was wrong and the value.
        hint: the remedy, one sentence.
        problems: the fields at fault.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)

    @classmethod
    def at(cls, field: str, value: Any, message: str, *, hint: str = "") -> Self:
        """An error about one field of the spec."""
        return cls(f"{field}: {message}", hint=hint, problems=[Problem(field, value, message)])

    def details(self) -> ErrorDetails:
        """The facts, for the job store."""
        return ErrorDetails(type(self).__name__, self.message, self.hint, self.retryable, self.problems)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.problems)


def _rebuild(cls: type[TrainingError], message: str, hint: str, problems: Sequence[Problem]) -> TrainingError:
    return cls(message, hint=hint, problems=problems)


class SpecError(TrainingError):
    """The spec cannot work, whatever the data are."""


class DataError(TrainingError):
    """The data cannot be read or cannot be used for this job."""


class AccessError(DataError):
    """The operator does not allow that source."""


class FitError(TrainingError):
    """An estimator failed on valid data."""


class WorkerLostError(FitError):
    """Workers of one fit died, hung or lost their node too often."""


class NotFoundError(TrainingError):
    """No such model, version or alias."""


class ConflictError(TrainingError):
    """The request does not fit the present state."""


class ResourceError(TrainingError):
    """No node of the cluster can ever hold the job."""


class JobCancelledError(TrainingError):
    """Somebody asked the job to stop."""


class UnavailableError(TrainingError):
    """A service that we need is away; the same call may work later."""

    retryable = True


def nearest(name: str, known: Iterable[str]) -> str:
    """Names the nearest known spelling, for the end of a message: "; nearest: default", or the choices, or nothing."""
    choices = [str(choice) for choice in known]
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.6)
    if close:
        return f"; nearest: {close[0]}"
    if 0 < len(choices) <= 12:
        return f"; known: {', '.join(choices)}"
    return ""


def shown(value: Any) -> Any:
    """A value as an error may show it: JSON scalars as they are, the rest as text, long text cut."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_SHOWN_VALUE_CHARS else text[:MAX_SHOWN_VALUE_CHARS] + "…"
