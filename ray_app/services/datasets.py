"""Files that callers upload."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import IO

from ray_app.services.pool import BoundedPool
from training.data.uploads import COPY_BYTES, Upload, UploadPage, UploadStore
from training.errors import NotFoundError, SpecError

_ID = re.compile(r"data_[0-9a-z]{1,40}")
_MAX_NAME_CHARS = 200


class DatasetService:
    """The store of uploads for the event loop: each call runs in a bounded pool of threads."""

    def __init__(self, artifact_uri: str, pool: BoundedPool) -> None:
        self._artifact_uri = artifact_uri
        self._pool = pool

    async def keep(self, content: IO[bytes], name: str, by: str) -> Upload:
        """Keeps what was uploaded.

        Raises:
            SpecError: the file has no name.
            DataError: it is neither CSV nor Parquet, or damaged.
        """
        plain = Path(name.replace("\\", "/")).name
        if not plain or len(plain) > _MAX_NAME_CHARS or not plain.isprintable():
            hint = "Name it as on disk, such as loans.parquet."
            raise SpecError.at("file", name, "the uploaded file has no usable name", hint=hint)
        return await self._pool.run(self._keep, content, plain, by)

    async def page(self, *, limit: int, cursor: str | None) -> UploadPage:
        """Uploads, newest first."""
        return await self._pool.run(lambda: UploadStore(self._artifact_uri).page(limit, cursor))

    async def remove(self, upload_id: str) -> None:
        """Removes an upload.

        Raises:
            NotFoundError: no such upload.
        """
        if not _ID.fullmatch(upload_id):
            raise NotFoundError(f"no upload {upload_id!r}", hint="GET /api/v1/datasets lists them.")
        await self._pool.run(lambda: UploadStore(self._artifact_uri).remove(upload_id))

    def _keep(self, content: IO[bytes], name: str, by: str) -> Upload:
        with tempfile.TemporaryDirectory(prefix="mts-upload-") as folder:
            path = Path(folder) / f"upload{''.join(Path(name).suffixes[-2:]).lower()}"
            with path.open("wb") as file:
                while block := content.read(COPY_BYTES):
                    file.write(block)
            return UploadStore(self._artifact_uri).keep(path, name, by)
