"""What a data source is: it turns the `source` part of a spec into an Arrow table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from training.data.access import DataAccess

S = TypeVar("S")

PIECE_ROWS = 65_536


class DataSource(ABC, Generic[S]):
    """Reads rows from one kind of place.

    Stateless: one instance may be used by many threads at once. Whatever is read is checked against `access` first.
    The same spec on unchanged data gives the same rows in the same order.
    """

    @abstractmethod
    def read(self, source: S, access: DataAccess, field: str, columns: Sequence[str] | None = None) -> Any:
        """All rows as a pyarrow.Table in the canonical types.

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

    def batches(self, source: S, access: DataAccess, field: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """The rows that `read` gives, in its order, as tables of some megabytes; raises as `read` does.

        In a piece, whole numbers may be int64 where others make the column float64, and times that a file holds as
        text may be text. A source that cannot stream reads all of it first.
        """
        table = self.read(source, access, field, columns)
        for start in range(0, table.num_rows, PIECE_ROWS):
            yield table.slice(start, PIECE_ROWS)

    @abstractmethod
    def size_bytes(self, source: S, access: DataAccess, field: str) -> int:
        """About how large the data are, without reading them; raises as `read` does."""

    @abstractmethod
    def uri(self, source: S) -> str:
        """Where the rows come from, for people; without secrets."""
