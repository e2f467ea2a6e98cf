"""The rows of an earlier job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.data.access import DataAccess
from training.data.canonical import canonical
from training.data.content_hash import content_sha256
from training.data.formats import FORMATS
from training.data.snapshots import SnapshotStore
from training.data.sources.base import DataSource
from training.errors import AccessError, DataError
from training.spec import SnapshotSource


class SnapshotRows(DataSource[SnapshotSource]):
    """Reads a snapshot whole, and checks that it is still what its name says."""

    def read(
        self, source: SnapshotSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Any:  # fmt: skip
        """All rows."""
        del columns
        place = f"{field}.sha256"
        file = _store(access, place).file(source.sha256)
        table = canonical(FORMATS["parquet"].read(file, place), place)
        if content_sha256(table) != source.sha256:
            hint = "Train from the source again."
            raise DataError.at(place, source.sha256, "the snapshot is not what it was when it was kept", hint=hint)
        return table

    def size_bytes(self, source: SnapshotSource, access: DataAccess, field: str) -> int:
        """Size of the file."""
        return _store(access, f"{field}.sha256").file(source.sha256).size_bytes

    def uri(self, source: SnapshotSource) -> str:
        """The hash."""
        return f"snapshot:{source.sha256}"


def _store(access: DataAccess, field: str) -> SnapshotStore:
    if access.store is None:
        raise AccessError.at(field, None, "there is no artifact store to read snapshots from", hint="Name a file.")
    return SnapshotStore(access.store)
