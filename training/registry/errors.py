"""MLflow's errors as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException

from training.errors import ConflictError, NotFoundError, TrainingError, UnavailableError

_KINDS: dict[str, type[TrainingError]] = {
    "RESOURCE_DOES_NOT_EXIST": NotFoundError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_ALREADY_EXISTS": ConflictError,
    "RESOURCE_CONFLICT": ConflictError,
    "INVALID_STATE": ConflictError,
    "INVALID_PARAMETER_VALUE": ConflictError,
    "BAD_REQUEST": ConflictError,
    "PERMISSION_DENIED": ConflictError,
}
"""Every other code means that the store is away or overloaded: MLflow uses INTERNAL_ERROR for lost connections."""

MAX_CAUSE_CHARS = 300


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Lets no error of MLflow, of a database or of an artifact store out.

    Args:
        action: what was tried, for the message, such as "registering german-credit".

    Raises:
        NotFoundError, ConflictError: MLflow refused.
        UnavailableError: the store could not be reached.
    """
    try:
        yield
    except MlflowException as error:
        kind = _KINDS.get(str(error.error_code), UnavailableError)
        raise kind(f"{action} failed: {_cause(error)}", hint=_hint(kind)) from error
    except (OSError, sqlite3.Error) as error:
        raise UnavailableError(f"{action} failed: {_cause(error)}", hint=_hint(UnavailableError)) from error


def without_secrets(uri: str) -> str:
    """The URI without user, password and query."""
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri.split("?", maxsplit=1)[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _hint(kind: type[TrainingError]) -> str:
    return "check that the MLflow store and the artifact folder can be reached" if kind is UnavailableError else ""


def _cause(error: Exception) -> str:
    """The first line of the cause: in a database's error the statement and its values follow, which may be secret."""
    text = str(error).strip() or type(error).__name__
    line = text.splitlines()[0]
    return line if len(line) <= MAX_CAUSE_CHARS else line[:MAX_CAUSE_CHARS] + "…"
