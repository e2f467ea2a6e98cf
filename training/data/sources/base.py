"""What a data source is: it turns the `source` part of a spec into an Arrow table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Any, Generic, TypeVar

from training.data.access import DataAccess
from training.data.streaming import Piece

S = TypeVar("S")


class DataSource(ABC, Generic[S]):
    """Reads rows from one kind of place.

    Stateless: one instance may be used by many threads at once. Whatever is read is checked against `access` first.
    The same spec on unchanged data gives the same rows in the same order.
    """

    @abstractmethod
    def read(self, source: S, access: DataAccess, field: str, columns: Sequence[str] | None = None) -> Any:
        """All rows as a pyarrow.Table in the canonical types; texts may be held as codes, see `coded`.

        Args:
            source: the part of the spec.
            access: what the operator allows.
            field: dotted path of `source` in the spec, for messages.
            columns: what the caller needs; None for all. A source that cannot leave columns out cheaply gives all,
                and so does one that lacks one of them, for then the nearest name is to be found.

        Raises:
            AccessError: the operator does not allow that place.
            DataError: the rows cannot be read; names the field, the value and the remedy.
        """

    def pieces(
        self, source: S, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Generator[Piece, None, None] | None:
        """The same rows piece by piece, in the types of the driver or the file; None where they are best read whole.

        Arguments and errors are those of `read`; errors may come with any piece.
        """
        del source, access, field, columns
        return None

    def place(self, source: S, field: str) -> str:
        """The dotted path of what names the rows, for messages about them."""
        del source
        return field

    @abstractmethod
    def size_bytes(self, source: S, access: DataAccess, field: str) -> int:
        """About how large the data are, without reading them; raises as `read` does."""

    @abstractmethod
    def uri(self, source: S) -> str:
        """Where the rows come from, for people; without secrets."""
