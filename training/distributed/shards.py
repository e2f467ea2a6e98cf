"""Encoded rows on disk, in Parquet row groups, so that each worker reads its own and nobody holds them all at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from training.data.memory import give_back
from training.data.table import Rows
from training.errors import UnavailableError

BATCH_VALUES = 2_000_000
"""Encoded values of a row group, at most (8 MB of float32): what a worker holds at once beside its own matrix."""
TARGET, WEIGHT = "target", "weight"

Array = npt.NDArray[np.float32] | npt.NDArray[np.float64] | npt.NDArray[np.int64]
Columns = Mapping[str, Array]
Encode = Callable[[pd.DataFrame], Columns]
"""Rows to arrays by name, each [n] or [n, k]."""


@dataclass(frozen=True)
class Shards:
    """One side of a split on disk. Row groups are of nearly equal size, and there are at least as many as workers."""

    file: Path
    num_rows: int
    num_groups: int

    def of_worker(self, rank: int, workers: int) -> range:
        """The row groups that a worker reads: neighbours, and every group belongs to one worker."""
        return range(rank * self.num_groups // workers, (rank + 1) * self.num_groups // workers)

    def read(self, groups: Sequence[int]) -> Iterator[dict[str, Array]]:
        """The arrays of each row group, one group in memory at a time."""
        with pq.ParquetFile(self.file, memory_map=True) as file:
            for group in groups:
                yield _arrays(file.read_row_group(group, use_threads=False))
                give_back()


def write_shards(file: Path, rows: Rows, encode: Encode, *, num_columns: int, workers: int) -> Shards:
    """Encodes the rows piece by piece and writes each piece as a row group.

    Raises:
        UnavailableError: the folder cannot be written.
    """
    bounds = _bounds(len(rows), num_columns, workers)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        writer: pq.ParquetWriter | None = None
        try:
            for start, stop in itertools.pairwise(bounds):
                table = _table(rows, encode, start, stop)
                if writer is None:
                    # floats hardly compress, and nobody asks for their statistics
                    writer = pq.ParquetWriter(
                        file, table.schema, compression="NONE", use_dictionary=False, write_statistics=False
                    )
                writer.write_table(table, row_group_size=len(table))
        finally:
            if writer is not None:
                writer.close()
            give_back()
    except OSError as error:
        raise UnavailableError(
            f"the rows for the workers cannot be written to {file.parent}: {error.strerror or error}",
            hint="the folder must be writable, and all nodes must see it; see MTS_HOME",
        ) from error
    return Shards(file, len(rows), len(bounds) - 1)


def _bounds(rows: int, num_columns: int, workers: int) -> list[int]:
    per_worker = -(-rows // workers)
    groups = workers * max(1, -(-per_worker * num_columns // BATCH_VALUES))
    groups = min(groups, rows)
    return [rows * index // groups for index in range(groups + 1)]


def _table(rows: Rows, encode: Encode, start: int, stop: int) -> pa.Table:
    columns: dict[str, Array] = {}
    for name, values in encode(rows.frame.iloc[start:stop]).items():
        if values.ndim == 1:
            columns[name] = values
        else:
            columns |= {f"{name}.{place}": values[:, place] for place in range(values.shape[1])}
    columns[TARGET] = rows.target[start:stop]
    if rows.weight is not None:
        columns[WEIGHT] = rows.weight[start:stop]
    return pa.table({name: pa.array(np.ascontiguousarray(values)) for name, values in columns.items()})


def _arrays(table: pa.Table) -> dict[str, Array]:
    """Columns `name.0`, `name.1` … become one array [n, k], column-major."""
    widths: dict[str, int] = {}
    for column in table.column_names:
        name, dot, _ = column.rpartition(".")
        if dot:
            widths[name] = widths.get(name, 0) + 1
    arrays: dict[str, Array] = {}
    for column, values in zip(table.column_names, table.columns, strict=True):
        name, dot, place = column.rpartition(".")
        if not dot:
            arrays[column] = values.to_numpy()
            continue
        if name not in arrays:
            arrays[name] = np.empty((len(table), widths[name]), dtype=values.type.to_pandas_dtype(), order="F")
        arrays[name][:, int(place)] = values.to_numpy()
    return arrays
