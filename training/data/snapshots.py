"""The rows that a job was trained on, kept as Parquet under the hash of what they hold."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from training.data.artifact_folder import HINT, ArtifactFolder
from training.data.content_hash import file_sha256
from training.data.files import DataFile
from training.data.labels import class_label
from training.data.streaming.row_groups import write_rows
from training.errors import NotFoundError, UnavailableError

FOLDER = "_snapshots"
"""Below the artifact store; no model's name begins with an underscore."""
ROWS = "rows.parquet"
COPY_BYTES = 4 * 2**20
STREAM_BUFFER_BYTES = 2**20
BATCH_ROWS = 65_536
_USES, _ERASURES = "uses", "erasures.json"

logger = logging.getLogger("training")


@dataclass(frozen=True)
class Use:
    """One job's use of a snapshot: where its rows came from, and when."""

    job_id: str
    model: str
    source: dict[str, Any]
    """The source as the spec gives it; a spec never holds a secret."""
    uri: str
    rows: int
    columns: int
    time: str = ""


@dataclass(frozen=True)
class Erasure:
    """Rows that were taken out of a snapshot; whose they were is not kept. `sha256` is of the rows that are left."""

    column: str
    by: str
    reason: str
    rows: int = 0
    sha256: str = ""
    time: str = ""


class SnapshotStore:
    """Snapshots below the artifact store: the same rows are the same snapshot, written once.

    They never change, except that a person's rows may be erased; then the erasures say what they hash to.

    Safe to use from many processes at once. Every method raises UnavailableError when the store is away.
    """

    def __init__(self, artifact_uri: str) -> None:
        self._folder = ArtifactFolder(artifact_uri, FOLDER)

    def keep(self, rows: Any, sha256: str, use: Use) -> str:
        """Keeps a canonical pyarrow.Table, unless its rows are there already; answers where.

        `rows` may also be the path of a file of this machine that holds such a table as `write_rows` writes it.

        The rows come before the record of their use: a job that dies in between leaves a snapshot that the next one
        finds.
        """
        path = f"{sha256}/{ROWS}"
        if self.erasures(sha256):
            # the rows came again from their source, where they were not erased; nobody puts them back unseen
            logger.warning("rows were erased from snapshot %s; the source still has them", sha256)
        if not self._folder.exists(path):
            self._folder.write(path, partial(_fill, rows))
        stamped = asdict(use) | {"time": use.time or datetime.now(UTC).isoformat(timespec="seconds")}
        record = json.dumps(stamped, ensure_ascii=False).encode()
        self._folder.write_bytes(f"{sha256}/{_USES}/{use.job_id}.json", record)
        return self._folder.location(path)

    def file(self, sha256: str) -> DataFile:
        """The rows as a file that can be read.

        Raises:
            NotFoundError: no such snapshot, or it has been removed.
        """
        filesystem, path = self._folder.path(f"{sha256}/{ROWS}")
        info = self._folder.info(f"{sha256}/{ROWS}")
        if not info.is_file:
            hint = "Its time of keeping may be over. Name result.data.sha256 of another job."
            raise NotFoundError(f"no snapshot {sha256}", hint=hint)
        return DataFile(filesystem, path, f"snapshot {sha256[:12]}", info.size)

    @contextmanager
    def opened(self, sha256: str) -> Iterator[Any]:
        """The rows as a pyarrow.parquet.ParquetFile, of which no more is in memory than what is asked of it.

        Raises:
            NotFoundError: as `file`.
        """
        file = self.file(sha256)
        with file.filesystem.open_input_file(file.path) as source:
            yield parquet.ParquetFile(source, pre_buffer=False, buffer_size=STREAM_BUFFER_BYTES)

    def is_whole(self, sha256: str) -> bool:
        """Whether the rows are what they were when they were kept, or what the last erasure left of them.

        Raises:
            NotFoundError: as `file`.
            UnavailableError: the rows cannot be read now.
        """
        try:
            with self.opened(sha256) as rows:
                found = file_sha256(rows)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                reason = f"the artifact store does not answer: {os.strerror(error.errno)}"
                raise UnavailableError(reason, hint=HINT) from error
            return False  # cut off, or overwritten with something else
        return found in {sha256, *(erasure.sha256 for erasure in self.erasures(sha256))}

    def uses(self, sha256: str) -> list[Use]:
        """Every use of a snapshot, by job."""
        folder = f"{sha256}/{_USES}"
        found = [self._folder.read_bytes(f"{folder}/{name}") for name in self._folder.names(folder)]
        return [Use(**json.loads(content)) for content in found if content is not None]

    def erasures(self, sha256: str) -> list[Erasure]:
        """What was taken out of a snapshot, oldest first."""
        content = self._folder.read_bytes(f"{sha256}/{_ERASURES}")
        return [] if content is None else [Erasure(**one) for one in json.loads(content)]

    def erase(self, sha256: str, column: str, values: Collection[str], record: Erasure) -> int:
        """Takes the rows out whose `column` is one of `values`, as text; answers how many.

        The record comes first: a process that dies in between leaves rows that count as they were.
        """
        if not self._folder.exists(f"{sha256}/{ROWS}"):
            return 0
        with self.opened(sha256) as rows, tempfile.TemporaryDirectory(prefix="mts-erase-") as folder:
            if column not in rows.schema_arrow.names:
                return 0
            named = _named(rows, column, values)
            if not named:
                return 0
            rest = Path(folder) / ROWS
            write_rows(_without(rows, column, named), rows.schema_arrow, rest)
            with parquet.ParquetFile(rest) as left:
                count, known = rows.metadata.num_rows - left.metadata.num_rows, file_sha256(left)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            done = replace(record, rows=count, sha256=known, time=now)
            history = [asdict(one) for one in [*self.erasures(sha256), done]]
            self._folder.write_bytes(f"{sha256}/{_ERASURES}", json.dumps(history, ensure_ascii=False).encode())
            self._folder.write(f"{sha256}/{ROWS}", partial(_fill, rest))
        return done.rows

    def hashes(self) -> list[str]:
        """Every snapshot."""
        return self._folder.names()

    def remove(self, sha256: str) -> bool:
        """Removes a snapshot; False where there was none."""
        return self._folder.remove(sha256)


def shape_of(rows: Any) -> tuple[int, int]:
    """Rows and columns of what `keep` takes."""
    if not isinstance(rows, Path):
        return rows.num_rows, rows.num_columns
    metadata = parquet.read_metadata(rows)
    return metadata.num_rows, metadata.num_columns


def _named(rows: Any, column: str, values: Collection[str]) -> list[Any]:
    """The values of a column whose text is one of `values`."""
    found: dict[Any, None] = {}
    for batch in rows.iter_batches(batch_size=BATCH_ROWS, columns=[column]):
        for one in batch.column(0).unique().drop_null().to_pylist():
            if class_label(one) in values:
                found[one] = None
    return list(found)


def _without(rows: Any, column: str, named: list[Any]) -> Iterator[Any]:
    gone = pa.array(named, rows.schema_arrow.field(column).type)
    for batch in rows.iter_batches(batch_size=BATCH_ROWS):
        kept = pc.invert(pc.is_in(batch.column(column), gone))
        yield pa.Table.from_batches([batch]).filter(kept)


def _fill(rows: Any, stream: Any) -> None:
    if not isinstance(rows, Path):
        write_rows([rows], rows.schema, stream)
        return
    with rows.open("rb") as content:
        while block := content.read(COPY_BYTES):
            stream.write(block)
