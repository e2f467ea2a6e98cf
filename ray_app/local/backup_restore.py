"""Brings a backup back into an empty home: `mts restore`."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from ray_app.local.backup import JOBS, MANIFEST, PIECE_BYTES, REGISTRY, Manifest
from ray_app.local.control import current
from ray_app.local.errors import LocalError
from ray_app.settings import Settings

PATH_COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
}
"""Where MLflow keeps absolute paths."""


def restore(settings: Settings, source: Path) -> Manifest:
    """Unpacks a backup, checks every file against its hash, and only then moves it to the home.

    The registry's paths are changed to this home. Jobs that were running when the backup was made start again.

    Raises:
        LocalError: something is there already or runs, or the file is not a whole backup.
    """
    home = settings.home_path
    if current(settings) is not None:
        raise LocalError("the service runs", hint="mts down, then again")
    taken = [name for name in (JOBS, REGISTRY, "artifacts") if (home / name).exists()]
    if taken:
        raise LocalError(f"{home} holds {', '.join(taken)} already", hint="set MTS_HOME to a new folder")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=home) as draft:
        folder = Path(draft)
        with _whole(source):
            _unpack(source, folder)
        manifest = _checked(folder, source)
        _move_paths(folder / REGISTRY, manifest.home, str(home))
        for path in folder.iterdir():
            if path.name != MANIFEST:
                _into(path, home / path.name)
    return manifest


@contextmanager
def _whole(source: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError) as error:
        raise LocalError(
            f"{source} is not a whole backup: {error}", hint="name a file that `mts backup` made"
        ) from error


def _unpack(source: Path, folder: Path) -> None:
    with tarfile.open(source, "r:gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if not member.isreg() or path.is_absolute() or ".." in path.parts:
                raise LocalError(f"{source} holds {member.name!r}, which no backup has", hint="do not use this file")
            archive.extract(member, folder, filter="data")


def _checked(folder: Path, source: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise LocalError(f"{source} has no manifest that can be read", hint="the file is cut, or no backup") from error
    for saved in manifest.files:
        path = folder / saved.path
        if not path.is_file() or _sha256(path) != saved.sha256:
            raise LocalError(f"{source}: {saved.path} is not what was saved", hint="use another backup")
    extra = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    extra -= {saved.path for saved in manifest.files}
    if extra:
        raise LocalError(f"{source} holds files that its manifest does not name: {min(extra)}")
    return manifest


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _move_paths(registry: Path, before: str, now: str) -> None:
    if not registry.exists() or before == now:
        return
    with closing(sqlite3.connect(registry)) as database, database:
        for table, columns in PATH_COLUMNS.items():
            for column in columns:
                # names from the table above; values are bound
                database.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE {column} LIKE ?",  # noqa: S608
                    (f"{before}/", f"{now}/", f"%{before}/%"),
                )


def _into(path: Path, target: Path) -> None:
    """Moves a file or merges a folder: a home may have its logs already."""
    if path.is_dir() and target.is_dir():
        for child in path.iterdir():
            _into(child, target / child.name)
    else:
        shutil.move(path, target)
