"""The stream of a monitor: batches of predictions and of outcomes, append-only, one Parquet file each.

    {artifacts}/_monitors/{name}/predictions/{day}/{first}-{last}-{rows}-{hash}.parquet

A file is named by the times and the content of its rows. So a batch that is sent again writes the file that is there,
a reader finds the files of a window by their names alone, and a file is there whole or not at all: it is renamed into
its place when it is on disk (object storage shows an object only when it is complete). No model is named `_monitors`.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from training.errors import UnavailableError
from training.monitoring.inflow import TIME

Stream = Literal["predictions", "outcomes"]
FOLDER = "_monitors"
RECEIVED = "received"
_NAME = re.compile(r"(-?\d+)_(-?\d+)_(\d+)_([0-9a-f]{24})\.parquet")


def monitors_root(artifact_uri: str) -> str:
    """The folder or URI prefix below which all monitors keep their rows, as a root that a data source may lie in."""
    plain = artifact_uri.split("?", maxsplit=1)[0].rstrip("/")
    return f"{plain}/{FOLDER}" if "://" in plain else str(Path(plain).resolve() / FOLDER)


@dataclass(frozen=True)
class StoredBatch:
    """A file of the stream. Times in microseconds since 1970, UTC, both inclusive."""

    path: str
    first_us: int
    last_us: int
    rows: int
    content: str
    modified: datetime


@dataclass(frozen=True)
class Receipt:
    """What became of a batch; `repeated`: it was there before, and nothing was written."""

    rows: int
    repeated: bool
    newest: datetime


@dataclass(frozen=True)
class StreamStore:
    """Any number of processes may append and read at once; picklable.

    Every method raises UnavailableError where the storage does not answer.

    Args:
        artifact_uri: folder or URI below which artifacts are stored.
        name: of the monitor.
    """

    artifact_uri: str
    name: str

    @cached_property
    def _place(self) -> tuple[Any, str]:
        try:
            filesystem, path = fs.FileSystem.from_uri(
                self.artifact_uri if "://" in self.artifact_uri else Path(self.artifact_uri).resolve().as_uri()
            )
        except pa.ArrowInvalid:
            other, path = fsspec.core.url_to_fs(self.artifact_uri)
            filesystem = fs.PyFileSystem(fs.FSSpecHandler(other))
        return filesystem, f"{path.rstrip('/')}/{FOLDER}/{self.name}"

    def __getstate__(self) -> dict[str, str]:
        return {"artifact_uri": self.artifact_uri, "name": self.name}

    def append(self, stream: Stream, table: Any, received: datetime) -> Receipt:
        """Keeps a batch; returns when it is on disk.

        Args:
            stream: which of the two.
            table: pyarrow.Table of at least one row, with a `time`.
            received: kept with each row: where two rows have one id, the one received first counts.
        """
        path = self._path(stream, table)
        newest = datetime.fromtimestamp(_bounds(table)[1] / 1e6, UTC)
        if self._exists(path):
            return Receipt(table.num_rows, repeated=True, newest=newest)
        stamp = pa.array([received.astimezone(UTC).replace(tzinfo=None)] * table.num_rows, pa.timestamp("us"))
        self._put(path, table.append_column(RECEIVED, stamp))
        return Receipt(table.num_rows, repeated=False, newest=newest)

    def put(self, stream: Stream, table: Any) -> str:
        """Keeps rows that have their `received` already; answers their path below the monitor's folder."""
        path = self._path(stream, table)
        if not self._exists(path):
            self._put(path, table)
        return path

    def _path(self, stream: Stream, table: Any) -> str:
        first, last = _bounds(table)
        day = datetime.fromtimestamp(first / 1e6, UTC).strftime("%Y-%m-%d")
        return f"{stream}/{day}/{first}_{last}_{table.num_rows}_{_content(table)}.parquet"

    def _put(self, path: str, table: Any) -> None:
        sink = io.BytesIO()
        texts = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name != "id"]
        pq.write_table(table, sink, use_dictionary=[*texts, RECEIVED])
        self.write(path, sink.getvalue())

    def batches(self, stream: Stream, start_us: int | None = None, end_us: int | None = None) -> list[StoredBatch]:
        """The files that may hold rows with start <= time < end, in the order of time."""
        found = []
        for info in self._listed(stream):
            match = _NAME.fullmatch(info.base_name)
            if match is None:
                continue
            first_us, last_us, rows = (int(match[number]) for number in (1, 2, 3))
            if (end_us is None or first_us < end_us) and (start_us is None or last_us >= start_us):
                found.append(StoredBatch(info.path, first_us, last_us, rows, match[4], info.mtime))
        return sorted(found, key=lambda batch: (batch.first_us, batch.content))

    def read(self, batches: Sequence[StoredBatch], fields: Sequence[Any], *, whole: bool = False) -> Any:
        """pyarrow.Table of some columns of some files, in their order, with `received`.

        Args:
            batches: of the files.
            fields: pyarrow fields; a file that has no such column, or another type in it, gives null: it holds rows of
                a version with other features.
            whole: leaves such files out.
        """
        schema = pa.schema([*fields, pa.field(RECEIVED, pa.timestamp("us"))])
        with self._answering("reading"):
            filesystem, _ = self._place
            found = []
            for batch in batches:
                with filesystem.open_input_file(batch.path) as source:
                    # a name with a dot is taken for a path into a column: the file itself says which columns it has
                    file = pq.ParquetFile(source)
                    names = [name for name in schema.names if name in file.schema_arrow.names]
                    table = file.read(columns=names)
                    if not whole or table.schema.equals(schema):
                        found.append(_fitted(table, schema))
        return pa.concat_tables(found) if found else None

    def read_whole(self, batch: StoredBatch) -> Any:
        """All columns of a file."""
        with self._answering("reading"):
            return pq.read_table(batch.path, filesystem=self._place[0])

    def fingerprint(self) -> str:
        """Changes with each batch that is added or removed."""
        digest = hashlib.sha256()
        for stream in ("predictions", "outcomes"):
            for batch in self.batches(stream):
                digest.update(f"{stream} {batch.first_us} {batch.content}\n".encode())
        return digest.hexdigest()[:24]

    def prune(self, before_us: int) -> int:
        """Deletes the batches whose rows are all older; says how many files."""
        old = [
            batch.path
            for stream in ("predictions", "outcomes")
            for batch in self.batches(stream)
            if batch.last_us < before_us
        ]
        return self.delete(old)

    def delete(self, paths: Sequence[str]) -> int:
        """Deletes files as `batches` names them; says how many were still there."""
        with self._answering("deleting"):
            return sum(self._deleted(path) for path in paths)

    def _deleted(self, path: str) -> bool:
        try:
            self._place[0].delete_file(path)
        except FileNotFoundError:
            return False  # another check was faster
        return True

    def write(self, path: str, body: bytes) -> None:
        """A file below the monitor's folder, whole or not at all."""
        filesystem, folder = self._place
        target = f"{folder}/{path}"
        with self._answering("writing"):
            filesystem.create_dir(target.rpartition("/")[0], recursive=True)
            if isinstance(filesystem, fs.LocalFileSystem):
                _write_local(Path(target), body)
            else:
                with filesystem.open_output_stream(target) as stream:
                    stream.write(body)

    def read_file(self, path: str) -> bytes | None:
        """A file that `write` wrote; None where there is none."""
        filesystem, folder = self._place
        with self._answering("reading"):
            if not self._exists(path):
                return None
            with filesystem.open_input_stream(f"{folder}/{path}") as stream:
                body: bytes = stream.read()
                return body

    def uri(self, path: str) -> str:
        """Where a file of the monitor's folder is, as a data source names it."""
        filesystem, folder = self._place
        if isinstance(filesystem, fs.LocalFileSystem):
            return f"{folder}/{path}"
        return f"{self.artifact_uri.split('?', maxsplit=1)[0].rstrip('/')}/{FOLDER}/{self.name}/{path}"

    def remove(self) -> None:
        """Deletes all that is kept of the monitor."""
        filesystem, folder = self._place
        with self._answering("deleting"):
            if filesystem.get_file_info(folder).type != fs.FileType.NotFound:
                filesystem.delete_dir(folder)

    def _exists(self, path: str) -> bool:
        filesystem, folder = self._place
        with self._answering("looking"):
            return bool(filesystem.get_file_info(f"{folder}/{path}").type == fs.FileType.File)

    def _listed(self, stream: Stream) -> list[Any]:
        filesystem, folder = self._place
        selector = fs.FileSelector(f"{folder}/{stream}", recursive=True, allow_not_found=True)
        with self._answering("listing"):
            return [info for info in filesystem.get_file_info(selector) if info.type == fs.FileType.File]

    @contextmanager
    def _answering(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnavailableError(
                f"{action} the stream of monitor {self.name} failed: {reason}",
                hint="check that the artifact folder can be reached and has room",
            ) from error


def _bounds(table: Any) -> tuple[int, int]:
    """First and last time in microseconds."""
    bounds = pc.min_max(table[TIME].cast(pa.int64()))
    return int(bounds["min"].as_py()), int(bounds["max"].as_py())


def _fitted(table: Any, schema: Any) -> Any:
    """The table with the columns of the schema; null where it has none that fits."""
    if table.schema.equals(schema):
        return table
    there = {field.name for field in table.schema if field.type == schema.field(field.name).type}
    columns = [
        table[field.name] if field.name in there else pa.nulls(table.num_rows, field.type) for field in schema
    ]  # fmt: skip
    return pa.table(columns, schema=schema)


def _content(table: Any) -> str:
    """A hash of the rows, whatever their chunks are."""
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(f"{name}:{column.type}\n".encode())
        array = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, pa.schema([pa.field("c", array.type)])) as writer:
            writer.write_batch(pa.record_batch([array], names=["c"]))
        digest.update(sink.getbuffer())
    return digest.hexdigest()[:24]


def _write_local(target: Path, body: bytes) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            # the name too has to outlive a power cut: whoever sent the batch is told that it is kept
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)
