"""A file that a caller has uploaded."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from training.data.access import DataAccess
from training.data.formats.base import Wanted
from training.data.sources.base import DataSource
from training.data.sources.file_source import about_bytes, is_large, one_file, pieces_of
from training.data.streaming import Piece
from training.data.uploads import UploadStore
from training.errors import AccessError, DataError
from training.spec import UploadSource


class UploadRows(DataSource[UploadSource]):
    """Reads an upload as the same file under a data root would be."""

    def read(
        self, source: UploadSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Any:  # fmt: skip
        """All rows."""
        name, file = _store(access, f"{field}.id").file(source.id)
        return one_file(name, file, f"{field}.id", Wanted(columns))

    def pieces(
        self, source: UploadSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Generator[Piece, None, None] | None:
        """A large file in pieces."""
        place = self.place(source, field)
        name, file = _store(access, place).file(source.id)
        if not is_large(name, [file]):
            return None
        nothing = DataError.at(place, source.id, "no rows", hint="Upload a file with rows.")
        return pieces_of(name, [file], place, Wanted(columns), nothing)

    def place(self, source: UploadSource, field: str) -> str:
        """The id."""
        del source
        return f"{field}.id"

    def size_bytes(self, source: UploadSource, access: DataAccess, field: str) -> int:
        """Size of the content."""
        place = self.place(source, field)
        name, file = _store(access, place).file(source.id)
        return about_bytes(name, [file])

    def uri(self, source: UploadSource) -> str:
        """The id."""
        return f"upload:{source.id}"


def _store(access: DataAccess, field: str) -> UploadStore:
    if access.store is None:
        raise AccessError.at(field, None, "there is no artifact store to read uploads from", hint="Name a file.")
    return UploadStore(access.store)
