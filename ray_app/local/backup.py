"""Saves the state of this machine's service to one file, while it runs: `mts backup`.

The databases are copied by SQLite's own online backup, the registry before the artifacts: a version is made only after
all its files are there, so whatever the copy of the registry names is found among the artifacts that are copied later.
"""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ray_app.local.errors import LocalError
from ray_app.settings import Settings

MANIFEST = "manifest.json"
JOBS, REGISTRY = "jobs.db", "mlflow.db"
FOLDERS = ("artifacts", "uploads", "logs")
"""Of the home, beside the databases. What a running service needs (`run`) and checkpoints of fits are made anew."""
PIECE_BYTES = 1024 * 1024


class SavedFile(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(frozen=True)

    path: str
    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a backup holds; its last member."""

    model_config = ConfigDict(frozen=True)

    format: int = 1
    release: str
    created_at: datetime
    home: str
    """Where it was made: the registry's own paths begin so."""
    files: list[SavedFile]


def save(settings: Settings, target: Path) -> Manifest:
    """Writes a backup; the file is there whole or not at all.

    Raises:
        LocalError: there is nothing to save, the databases are not files of this home, or the target exists.
    """
    home = settings.home_path
    _check(settings, target)
    files: list[SavedFile] = []
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz", compresslevel=3) as archive:
            for name in (REGISTRY, JOBS):
                if (home / name).exists():
                    with _copied(home / name) as copy:
                        files.append(_add(archive, copy, name))
            files += [_add(archive, path, str(path.relative_to(home))) for path in _files(home)]
            manifest = Manifest(
                release=version("model-training-service"), created_at=datetime.now(UTC), home=str(home), files=files
            )
            text = manifest.model_dump_json(indent=1).encode()
            member = tarfile.TarInfo(MANIFEST)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _check(settings: Settings, target: Path) -> None:
    home = settings.home_path
    urls = {"MTS_DATABASE_URL": settings.store_url, "MLFLOW_TRACKING_URI": settings.tracking_uri}
    elsewhere = [name for name, url in urls.items() if not url.startswith(f"sqlite:///{home}/")]
    if elsewhere:
        raise LocalError(
            f"{' and '.join(elsewhere)} name databases outside of {home}",
            hint="save these with their own tools, such as pg_dump, and then the folder of MTS_ARTIFACT_URI",
        )
    if not (home / JOBS).exists() and not (home / REGISTRY).exists():
        raise LocalError(f"there is nothing to save in {home}", hint="MTS_HOME names the home of the service")
    if target.exists():
        raise LocalError(f"{target} exists", hint="name a new file")
    if not target.parent.is_dir():
        raise LocalError(f"there is no folder {target.parent}", hint="make it first")


class _copied:  # noqa: N801 - used as a function
    """A consistent copy of a SQLite file that others write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = tempfile.TemporaryDirectory(prefix="mts-backup-", dir=path.parent)

    def __enter__(self) -> Path:
        copy = Path(self._folder.name) / self._path.name
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as source, closing(
            sqlite3.connect(copy)
        ) as target:  # fmt: skip
            source.backup(target)
        return copy

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _files(home: Path) -> Iterator[Path]:
    for name in FOLDERS:
        for path in sorted((home / name).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path


def _add(archive: tarfile.TarFile, path: Path, name: str) -> SavedFile:
    """Adds a file as it is now; one that grows meanwhile, such as a log, is cut at its present length."""
    with path.open("rb") as file:
        member = tarfile.TarInfo(name)
        member.size = os.fstat(file.fileno()).st_size
        member.mode = 0o600
        reader = _Hashing(file, member.size)
        archive.addfile(member, reader)
    return SavedFile(path=name, size_bytes=member.size, sha256=reader.digest.hexdigest())


class _Hashing:
    """Reads exactly `size` bytes: one that has been cut meanwhile is filled up with zeros."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file = file
        self._left = size
        self.digest = hashlib.sha256()

    def read(self, count: int = PIECE_BYTES) -> bytes:
        wanted = min(count, self._left)
        piece = self._file.read(wanted).ljust(wanted, b"\0")
        self._left -= wanted
        self.digest.update(piece)
        return piece
