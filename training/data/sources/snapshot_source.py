"""The rows of an earlier job."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from training.data.access import DataAccess
from training.data.formats.base import ALL
from training.data.snapshots import SnapshotStore
from training.data.sources.base import DataSource
from training.data.sources.file_source import about_bytes, is_large, one_file, pieces_of
from training.data.streaming import Piece
from training.errors import AccessError, DataError
from training.spec import SnapshotSource


class SnapshotRows(DataSource[SnapshotSource]):
    """Reads all rows of a snapshot, and checks first that it is still what its name says."""

    def read(
        self, source: SnapshotSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Any:  # fmt: skip
        """All rows."""
        del columns
        place = self.place(source, field)
        return one_file("parquet", _checked(source, access, place).file(source.sha256), place, ALL)

    def pieces(
        self, source: SnapshotSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Generator[Piece, None, None] | None:
        """A large snapshot in pieces."""
        del columns
        place = self.place(source, field)
        file = _store(access, place).file(source.sha256)
        if not is_large("parquet", [file]):
            return None
        _checked(source, access, place)
        nothing = DataError.at(place, source.sha256, "all rows were erased", hint="Train from the source again.")
        return pieces_of("parquet", [file], place, ALL, nothing)

    def place(self, source: SnapshotSource, field: str) -> str:
        """The hash."""
        del source
        return f"{field}.sha256"

    def size_bytes(self, source: SnapshotSource, access: DataAccess, field: str) -> int:
        """Size of the rows."""
        place = self.place(source, field)
        return about_bytes("parquet", [_store(access, place).file(source.sha256)])

    def uri(self, source: SnapshotSource) -> str:
        """The hash."""
        return f"snapshot:{source.sha256}"


def _checked(source: SnapshotSource, access: DataAccess, place: str) -> SnapshotStore:
    store = _store(access, place)
    if not store.is_whole(source.sha256):
        hint = "Train from the source again."
        raise DataError.at(place, source.sha256, "the snapshot is not what it was when it was kept", hint=hint)
    return store


def _store(access: DataAccess, field: str) -> SnapshotStore:
    if access.store is None:
        raise AccessError.at(field, None, "there is no artifact store to read snapshots from", hint="Name a file.")
    return SnapshotStore(access.store)
