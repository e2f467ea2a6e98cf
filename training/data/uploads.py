"""Files that callers have uploaded, kept below the artifact store, where every worker can read them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv as pa_csv
from pyarrow import fs, parquet

from training.data.artifact_folder import ArtifactFolder
from training.data.files import DataFile
from training.data.formats.base import damaged, text_head, unreadable
from training.data.formats.parquet_format import check_expansion
from training.errors import DataError, NotFoundError, SpecError
from training.result import ResultModel

FOLDER = "_uploads"
"""Below the artifact store; no model's name begins with an underscore."""
SUFFIXES = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
COPY_BYTES = 4 * 2**20
_FACTS, _ROWS = "dataset.json", "rows"
_FIELD = "file"


class Upload(ResultModel):
    """A file that a spec can name as {type: upload, id: …}."""

    id: str
    name: str
    """As the caller's file was called."""
    format: str
    size_bytes: int
    columns: list[str]
    rows: int | None
    """Known for Parquet."""
    created_at: str
    created_by: str


class UploadPage(ResultModel):
    """A page of uploads, newest first."""

    items: list[Upload]
    next_cursor: str | None = None


class UploadStore:
    """Uploads below the artifact store. Safe to use from many processes at once.

    A file is there once its facts are, which are written last: an upload that breaks off leaves nothing that a list
    shows or a spec can name. Every method raises UnavailableError when the store is away.
    """

    def __init__(self, artifact_uri: str) -> None:
        self._folder = ArtifactFolder(artifact_uri, FOLDER)

    def keep(self, path: Path, name: str, by: str) -> Upload:
        """Keeps a copy of a complete file of this machine, whose path ends as `name` does.

        Raises:
            DataError: it is neither CSV nor Parquet, or damaged.
        """
        suffix = next((one for one in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(one)), None)
        if suffix is None:
            hint = f"Upload a file whose name ends in {', '.join(SUFFIXES)}."
            raise DataError.at(_FIELD, name, "neither CSV nor Parquet by its name", hint=hint)
        file = DataFile(fs.LocalFileSystem(), str(path), name, path.stat().st_size)
        columns, rows = _looked_into(file, suffix)
        upload = Upload(
            id=f"data_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(6)}", name=name, format=SUFFIXES[suffix],
            size_bytes=file.size_bytes, columns=columns, rows=rows,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"), created_by=by,
        )  # fmt: skip
        with path.open("rb") as content:
            self._folder.write(f"{upload.id}/{_ROWS}{suffix}", lambda stream: _copied(content, stream))
        self._folder.write_bytes(f"{upload.id}/{_FACTS}", upload.model_dump_json().encode())
        return upload

    def find(self, upload_id: str) -> Upload:
        """The facts of an upload.

        Raises:
            NotFoundError: no such upload.
        """
        content = self._folder.read_bytes(f"{upload_id}/{_FACTS}")
        if content is None:
            raise NotFoundError(f"no upload {upload_id}", hint="GET /api/v1/datasets lists them.")
        return Upload.model_validate_json(content)

    def file(self, upload_id: str) -> tuple[str, DataFile]:
        """The format and the file; raises as `find`."""
        upload = self.find(upload_id)
        name = next(one for one in self._folder.names(upload_id) if one.startswith(_ROWS))
        filesystem, path = self._folder.path(f"{upload_id}/{name}")
        return upload.format, DataFile(filesystem, path, upload.name, upload.size_bytes)

    def page(self, limit: int, cursor: str | None) -> UploadPage:
        """Uploads, newest first.

        Raises:
            SpecError: the cursor is not one of ours.
        """
        if cursor is not None and not cursor.startswith("data_"):
            raise SpecError.at("cursor", cursor, "not a cursor of this list")
        # ids begin with the time
        ids = [name for name in reversed(self._folder.names()) if cursor is None or name < cursor]
        found = [self._folder.read_bytes(f"{name}/{_FACTS}") for name in ids[: limit + 1]]
        items = [Upload.model_validate_json(content) for content in found[:limit] if content is not None]
        return UploadPage(items=items, next_cursor=ids[limit - 1] if len(ids) > limit else None)

    def remove(self, upload_id: str) -> None:
        """Removes an upload; jobs that were trained on it keep their snapshots.

        Raises:
            NotFoundError: no such upload.
        """
        self.find(upload_id)
        self._folder.remove(upload_id)


def _looked_into(file: DataFile, suffix: str) -> tuple[list[str], int | None]:
    """Names of the columns, and the number of rows where that costs nothing."""
    if SUFFIXES[suffix] == "parquet":
        try:
            metadata = parquet.read_metadata(file.path)
        except (pa.ArrowException, OSError):
            raise damaged(file, _FIELD, "Parquet") from None
        check_expansion(metadata, file, _FIELD)
        names: Sequence[str] = metadata.schema.to_arrow_schema().names
        return list(names), int(metadata.num_rows)
    text_head(file, _FIELD, "CSV")
    try:
        with file.open() as stream, pa_csv.open_csv(stream) as opened:
            return list(opened.schema.names), None
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError.at(_FIELD, file.label, f"not CSV: {reason}", hint="Correct the file.") from None
    except OSError as error:
        raise unreadable(file, _FIELD, "CSV", error) from None


def _copied(content: IO[bytes], stream: Any) -> None:
    while block := content.read(COPY_BYTES):
        stream.write(block)
