"""The rows that a job was trained on, kept as Parquet under the hash of what they hold."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pyarrow import parquet

from training.data.artifact_folder import ArtifactFolder
from training.data.files import DataFile
from training.errors import NotFoundError

FOLDER = "_snapshots"
"""Below the artifact store; no model's name begins with an underscore."""
ROWS = "rows.parquet"
ROWS_PER_GROUP = 131_072
_USES = "uses"


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


class SnapshotStore:
    """Snapshots below the artifact store. They never change: the same rows are the same snapshot, written once.

    Safe to use from many processes at once. Every method raises UnavailableError when the store is away.
    """

    def __init__(self, artifact_uri: str) -> None:
        self._folder = ArtifactFolder(f"{artifact_uri.rstrip('/')}/{FOLDER}")

    def keep(self, table: Any, sha256: str, use: Use) -> str:
        """Keeps a canonical pyarrow.Table, unless its rows are there already; answers where.

        The rows come before the record of their use: a job that dies in between leaves a snapshot that the next one
        finds.
        """
        path = f"{sha256}/{ROWS}"
        if not self._folder.exists(path):
            self._folder.write(path, lambda stream: _write(table, stream))
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

    def uses(self, sha256: str) -> list[Use]:
        """Every use of a snapshot, by job."""
        folder = f"{sha256}/{_USES}"
        found = [self._folder.read_bytes(f"{folder}/{name}") for name in self._folder.names(folder)]
        return [Use(**json.loads(content)) for content in found if content is not None]

    def hashes(self) -> list[str]:
        """Every snapshot."""
        return self._folder.names()

    def remove(self, sha256: str) -> bool:
        """Removes a snapshot; False where there was none."""
        return self._folder.remove(sha256)


def _write(table: Any, stream: Any) -> None:
    # statistics and dictionaries cost more time than a snapshot that is read whole gives back
    parquet.write_table(
        table, stream, compression="zstd", compression_level=1, row_group_size=ROWS_PER_GROUP, write_statistics=False
    )
