"""What the reader of one kind of database does, and the errors that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.errors import DataError, UnavailableError
from training.spec import SqlSource

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


@dataclass(frozen=True)
class Login:
    """How to reach a database. `url` holds the password: it is never printed, and never part of an error."""

    name: str
    url: URL
    timeout_s: float

    def scrubbed(self, text: str) -> str:
        """A driver's message without what it may hold of the login."""
        for secret in {self.url.password, *(str(value) for value in self.url.query.values())}:
            if secret:
                text = text.replace(secret, "***")
        return text


@dataclass(frozen=True)
class Selection:
    """What to read: the source, with its query checked to be one SELECT; `columns` are None for all."""

    source: SqlSource
    query: str | None
    columns: Sequence[str] | None
    field: str


class SqlReader(ABC):
    """Reads from one kind of database, in a transaction that cannot write. Stateless."""

    @abstractmethod
    def batches(self, login: Login, selection: Selection) -> Generator[Any, None, None]:
        """The rows in pieces (pyarrow.Table), at least one, which may be empty.

        Raises:
            DataError: the statement is wrong, is refused or runs too long.
            UnavailableError: the database does not answer, or stopped to.
        """

    @abstractmethod
    def size_bytes(self, login: Login, selection: Selection) -> int:
        """About how large the answer is, by the database's own estimate; raises as `batches` does."""

    def expected_rows(self, login: Login, selection: Selection) -> int | None:
        """About how many rows the answer has, for progress; None where only reading can tell. Raises as `batches`."""
        del login, selection
        return None


def not_understood(selection: Selection, reason: str) -> DataError:
    """The error for a statement that the database does not understand."""
    field, value = _place(selection)
    return DataError.at(field, value, f"the database does not understand it: {reason}", hint="Correct the statement.")


def would_write(selection: Selection) -> DataError:
    """The error for a statement that tried to change something."""
    field, value = _place(selection)
    return DataError.at(field, value, "it tried to write; the transaction only reads", hint="Give a SELECT.")


def too_slow(login: Login, selection: Selection) -> DataError:
    """The error for a statement that was stopped."""
    field, value = _place(selection)
    reason = f"stopped by the time limit of the connection, {login.timeout_s:g} s"
    return DataError.at(field, value, reason, hint="Read less, add an index, or ask the operator for a longer limit.")


def not_allowed(login: Login, selection: Selection) -> DataError:
    """The error for a table that the connection's user may not read."""
    field, value = _place(selection)
    reason = f"the user of the connection {login.name!r} may not read it"
    return DataError.at(field, value, reason, hint="The operator grants SELECT on it.")


def login_refused(login: Login, selection: Selection) -> DataError:
    """The error for a wrong user or password; says nothing of either."""
    reason = f"the database refuses the login of the connection {login.name!r}"
    hint = "The operator corrects user or password in MTS_CONNECTIONS_FILE."
    return DataError.at(f"{selection.field}.connection", login.name, reason, hint=hint)


def away(login: Login, selection: Selection, reason: str) -> UnavailableError:
    """The error for a database that does not answer."""
    message = f"the database of the connection {login.name!r} does not answer: {login.scrubbed(reason)}"
    return UnavailableError.at(f"{selection.field}.connection", login.name, message, hint="Try again later.")


def _place(selection: Selection) -> tuple[str, str]:
    if selection.query is None:
        return f"{selection.field}.table", str(selection.source.table)
    return f"{selection.field}.query", selection.query
