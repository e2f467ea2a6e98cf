"""The labelled rows of a pool."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from training.data.access import DataAccess
from training.data.canonical import canonical
from training.data.coded import decoded
from training.data.row_ids import mark_text, positions, row_ids, row_marks
from training.data.sources.base import DataSource
from training.errors import DataError, SpecError, nearest
from training.spec import PART_COLUMN, PoolLabel, PoolSource, Source

logger = logging.getLogger("training")


class PoolRows(DataSource[PoolSource]):
    """Joins labels to rows of another source, in the order of the labels.

    Rows that have changed or gone since they were labelled are left out, with a warning that names some.
    """

    def __init__(self, sources: Mapping[str, DataSource[Any]]) -> None:
        self._sources = sources

    def read(self, source: PoolSource, access: DataAccess, field: str, columns: Sequence[str] | None = None) -> Any:
        """The labelled rows, with all columns: a row is known again by all that it holds."""
        del columns
        table = self._of(source.rows, access, f"{field}.rows")
        frame = table.to_pandas()
        places = positions(row_ids(frame, source.id_column, field=f"{field}.id_column"))
        marks = row_marks(frame, without=[source.target])
        kept = [
            one
            for one in source.labels
            if one.id in places and one.row_hash in {None, mark_text(marks[places[one.id]])}
        ]
        _tell_lost(source.labels, kept)
        if not kept:
            raise DataError.at(
                f"{field}.labels", len(source.labels), "every labelled row has changed or is gone",
                hint="Restore the source, or make a new pool.",
            )  # fmt: skip
        rows = _without(table, source.target).take([places[one.id] for one in kept])
        labelled = _with(rows, source.target, kept)
        if source.labelled is not None:
            given = self._of(source.labelled, access, f"{field}.labelled")
            labelled = pa.concat_tables([labelled, _like(given, labelled, source, f"{field}.labelled")])
        return canonical(labelled, field)

    def size_bytes(self, source: PoolSource, access: DataAccess, field: str) -> int:
        """Size of the sources behind it: all of their rows are looked through."""
        size = self._sources[source.rows.type].size_bytes(source.rows, access, f"{field}.rows")
        if source.labelled is not None:
            size += self._sources[source.labelled.type].size_bytes(source.labelled, access, f"{field}.labelled")
        return size

    def uri(self, source: PoolSource) -> str:
        """The place of the rows."""
        return f"{len(source.labels)} labels on {self._sources[source.rows.type].uri(source.rows)}"

    def _of(self, source: Source, access: DataAccess, field: str) -> Any:
        return decoded(self._sources[source.type].read(source, access, field))


def _without(table: Any, name: str) -> Any:
    return table.drop_columns([name]) if name in table.column_names else table


def _with(rows: Any, target: str, kept: Sequence[PoolLabel]) -> Any:
    numbers = all(isinstance(one.label, float) for one in kept)
    kind = pa.float64() if numbers else pa.large_string()
    values = pa.array([one.label if numbers else str(one.label) for one in kept], kind)
    rows = rows.append_column(target, values)
    return rows.append_column(PART_COLUMN, pa.array([one.part for one in kept], pa.large_string()))


def _like(given: Any, labelled: Any, source: PoolSource, field: str) -> Any:
    """Rows that came with labels, with the columns and types of the others; the id may be missing."""
    columns = []
    for name in labelled.column_names:
        kind = labelled.schema.field(name).type
        if name == PART_COLUMN:
            columns.append(pa.array(["train"] * len(given), kind))
        elif name in given.column_names:
            try:
                columns.append(given[name].cast(kind))
            except pa.ArrowInvalid as error:
                reason = f"column {name!r} holds other values than the pool's: {str(error).splitlines()[0]}"
                raise DataError.at(field, name, reason, hint="Write the column in the same way.") from None
        elif name == source.id_column:
            columns.append(pa.nulls(len(given), kind))
        else:
            raise SpecError.at(field, name, f"has no column {name!r}{nearest(name, given.column_names)}")
    return pa.table(columns, names=labelled.column_names)


def _tell_lost(labels: Sequence[PoolLabel], kept: Sequence[PoolLabel]) -> None:
    known = {one.id for one in kept}
    lost = [one.id for one in labels if one.id not in known]
    if lost:
        logger.warning(
            "%s labelled rows have changed or gone from the source since, and are left out: %s",
            len(lost), ", ".join(lost[:10]),
        )  # fmt: skip
