"""All pieces of a source as one canonical table: in memory, or, where it is large, in a Parquet file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from training.data.canonical import clean_names
from training.data.streaming.facts import ColumnFacts
from training.data.streaming.origins import check_same_columns, common_type, widened
from training.data.streaming.piece import USE_KEY, Piece
from training.data.streaming.row_groups import write_rows
from training.data.streaming.spool import Spool

Told = Callable[[int, float | None], None]
"""Hears of rows read so far, and of the share of all that they are."""


@dataclass(frozen=True)
class Gathered:
    """One of the two is there. `file`: canonical rows in Parquet, in the folder that the caller gave."""

    table: Any | None
    file: Path | None
    rows: int
    nbytes: int
    """Of the rows as Arrow holds them."""
    feature_store: bytes | None = None
    """A FeatureStoreUse as JSON, where features came from one."""


def gather(pieces: Iterable[Piece], folder: Path, place: str, told: Told | None = None) -> Gathered:
    """Reads all pieces, of which no more than SPILL_BYTES are in memory at any time.

    Args:
        pieces: at least one; it may have no rows.
        folder: for what is too much for memory.
        place: where the spec names the source, for messages.
        told: hears of progress; what it raises ends the reading.

    Raises:
        DataError: columns that differ between files, or hold what is no scalar; names the column.
    """
    seen = _Seen(Spool(folder), place)
    for piece in pieces:
        if piece.rows is None:
            seen.begin_anew()
            continue
        seen.put(piece)
        if told is not None:
            told(seen.rows, piece.share)
    kinds = seen.kinds()
    schema = pa.schema(list(zip(seen.names, kinds, strict=True)))
    if not seen.spool.is_on_disk:
        tables = [*seen.converted(schema)]
        table = pa.concat_tables(tables) if tables else schema.empty_table()
        return Gathered(table, None, seen.rows, seen.nbytes, seen.use)
    path = folder / "rows.parquet"
    write_rows(seen.converted(schema), schema, path)
    seen.spool.clear()
    return Gathered(None, path, seen.rows, seen.nbytes, seen.use)


@dataclass
class _Origin:
    label: str
    facts: list[ColumnFacts]
    rows: int = 0


@dataclass
class _Seen:
    spool: Spool
    place: str
    names: list[str] = field(default_factory=list)
    origins: list[_Origin] = field(default_factory=list)
    rows: int = 0
    nbytes: int = 0
    use: bytes | None = None

    def begin_anew(self) -> None:
        self.spool.clear()
        self.names, self.origins, self.rows, self.nbytes = [], [], 0, 0

    def put(self, piece: Piece) -> None:
        self.use = (piece.rows.schema.metadata or {}).get(USE_KEY, self.use)
        rows = piece.rows.rename_columns(clean_names(piece.rows.column_names, self.place))
        if not self.origins:
            self.names = rows.column_names
        if not self.origins or self.origins[-1].label != piece.origin:
            first = self.origins[0].label if self.origins else piece.origin
            check_same_columns((first, self.names), (piece.origin, rows.column_names), self.place)
            self.origins.append(_Origin(piece.origin, [ColumnFacts(name, self.place) for name in self.names]))
        origin = self.origins[-1]
        rows = rows.select(self.names)
        for facts, column in zip(origin.facts, rows.columns, strict=True):
            facts.see(column)
        self.spool.put(rows)
        origin.rows += rows.num_rows
        self.rows += rows.num_rows
        self.nbytes += rows.nbytes

    def kinds(self) -> list[Any]:
        """The canonical type of each column, for all origins."""
        # an origin without rows says nothing: a filter has left none of it
        told = [origin for origin in self.origins if origin.rows]
        found = []
        for number, name in enumerate(self.names):
            filled = [(origin.label, origin.facts[number]) for origin in told if not origin.facts[number].is_empty]
            types = [(label, facts.type()) for label, facts in filled]
            found.append(common_type(name, types, len(told), self.place) if types else pa.float64())
        return found

    def converted(self, schema: Any) -> Iterator[Any]:
        """The pieces in canonical types; none of them is empty."""
        left = [(origin, origin.rows) for origin in self.origins if origin.rows]
        types: list[Any] = []
        for rows in self.spool.pieces():
            if not rows.num_rows:
                continue
            origin, count = left[0]
            if count == origin.rows:
                types = [facts.type() for facts in origin.facts]
            columns = [
                widened(facts.converted(column, kind), one.type, one.name, self.place)
                for facts, column, kind, one in zip(origin.facts, rows.columns, types, schema, strict=True)
            ]
            yield pa.table(columns, schema=schema)
            left[0] = origin, count - rows.num_rows
            if not left[0][1]:
                left.pop(0)
