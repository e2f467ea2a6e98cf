"""Which files a spec may read: the operator's roots, checked after every symbolic link is followed."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from training.data.connections import SecretOf, no_secret
from training.data.files import DataFile, local_roots, partition_of, refused
from training.data.remote import remote_files
from training.errors import AccessError, DataError

MAX_FILES = 10_000
"""Files that one source may have; a larger number is a glob that caught more than was meant."""
_GLOB = re.compile(r"[*?\[]")
_LOCAL = fs.LocalFileSystem()


@dataclass(frozen=True)
class DataAccess:
    """What the operator allows. Picklable.

    Args:
        roots: absolute folders, or URI prefixes such as s3://bucket/folder?region=eu-west-1. Options and credentials
            of object storage belong to the root or to the environment, never to a spec.
        base: folder that relative paths of a spec start from.
        max_bytes: of all files of one source together; None for no limit.
        connections_file: names databases and feature repositories; None for none.
        secret: looks up what that file refers to as `env:NAME`, in the process that connects; picklable.
        store: folder or URI of the artifacts, below which snapshots and uploads lie; None for none.
    """

    roots: tuple[str, ...]
    base: Path
    max_bytes: int | None = None
    connections_file: Path | None = None
    secret: SecretOf = no_secret
    store: str | None = None

    def files(self, uri: str, *, field: str = "data.source.uri") -> list[DataFile]:
        """The files behind a path, a folder, a glob or a URI, sorted by path, at least one.

        A folder gives the files directly in it and in its partitions (folders named column=value), without those whose
        name starts with a dot or an underscore.

        Raises:
            AccessError: not under a root; says the same whether the file exists or not.
            DataError: under a root, but there is no such file, or it is too large or no regular file.
        """
        path = self._local_path(uri, field)
        found = remote_files(uri, self.roots, field) if path is None else self._local_files(uri, path, field)
        try:
            files = list(itertools.islice(found, MAX_FILES + 1))
        except OSError as error:
            raise DataError.at(field, uri, f"cannot be read: {error.strerror}", hint="Correct the path.") from None
        if not files:
            raise DataError.at(field, uri, "no file there", hint="Name a file, or a glob such as folder/**/*.parquet.")
        if len(files) > MAX_FILES:
            raise DataError.at(field, uri, f"more than {MAX_FILES:,} files", hint="Name a narrower folder or glob.")
        size = sum(file.size_bytes for file in files)
        if self.max_bytes is not None and size > self.max_bytes:
            limit = f"{size / 1e6:,.1f} MB, more than the limit of {self.max_bytes / 1e6:,.1f} MB"
            raise DataError.at(field, uri, limit, hint="Read fewer rows, or ask the operator for a higher limit.")
        return files

    def _local_path(self, uri: str, field: str) -> Path | None:
        """The path that was asked for, links not yet followed; None for a URI of another scheme."""
        if uri.lower().startswith("file:"):
            parts = urlsplit(uri)
            if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
                raise AccessError.at(field, uri, "not a local file URI", hint="Write file:///folder/file.csv.")
            uri = unquote(parts.path)
        elif "://" in uri:
            return None
        if "\0" in uri:
            raise AccessError.at(field, uri, "a path holds no null character")
        return self.base / uri

    def _local_files(self, uri: str, path: Path, field: str) -> Iterator[DataFile]:
        literal = self._allowed(path, uri, field)
        if literal.is_dir():
            paths: Iterable[Path] = _folder_files(literal)
        elif literal.exists() or not _GLOB.search(uri):
            paths = [literal]
        else:
            paths = self._matches(uri, path, field)
        for match in paths:
            real = self._allowed(match, uri, field)
            label = uri if real == literal else f"{uri}: {match.name}"
            if not real.exists():
                raise DataError.at(field, uri, f"no such file{self._nearest(real)}", hint="Correct the path.")
            if not real.is_file():
                raise DataError.at(field, uri, f"{match.name} is no regular file", hint="Name a file of rows.")
            inner = match.relative_to(literal).parts[:-1] if literal.is_dir() else ()
            yield DataFile(_LOCAL, real.as_posix(), label, real.stat().st_size, partition_of(inner) or ())

    def _matches(self, uri: str, path: Path, field: str) -> list[Path]:
        parts = path.parts
        own = len(self.base.parts) if path.is_relative_to(self.base) else 0
        fixed = next(index for index, part in enumerate(parts) if index >= own and _GLOB.search(part))
        folder = self._allowed(Path(*parts[:fixed]), uri, field)
        pattern = parts[fixed:]
        if ".." in pattern:
            raise AccessError.at(field, uri, "a glob may not go up with '..'", hint="Write the folder before the glob.")
        try:
            found = [match for match in folder.glob("/".join(pattern)) if _is_visible_file(match)]
        except ValueError as error:
            raise DataError.at(
                field, uri, f"not a glob: {error}", hint="Write ** as a whole part of the path."
            ) from None
        return sorted(found)

    def _allowed(self, path: Path, uri: str, field: str) -> Path:
        """The real path with all links followed, if it is under a root."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # a loop of links, or a name that no file system takes
            raise refused(uri, self.roots, field) from None
        if not any(real.is_relative_to(root) for root in local_roots(self.roots)):
            raise refused(uri, self.roots, field)
        return real

    def _nearest(self, missing: Path) -> str:
        """Names what is most like a missing file in the nearest folder that exists, which is under a root too."""
        name, folder = missing.name, missing.parent
        while not folder.is_dir():
            name, folder = folder.name, folder.parent
        if not any(folder.is_relative_to(root) for root in local_roots(self.roots)):
            return ""
        close = difflib.get_close_matches(name, sorted(child.name for child in folder.iterdir()), n=1, cutoff=0.5)
        return f"; nearest: {close[0]}" if close else ""


def _folder_files(folder: Path) -> list[Path]:
    """The files directly in a folder and in its partitions, sorted."""
    found = [child for child in folder.iterdir() if _is_visible_file(child)]
    for child in folder.iterdir():
        if child.is_dir() and partition_of([child.name]) and not child.name.startswith((".", "_")):
            found += _folder_files(child)
    return sorted(found)


def _is_visible_file(path: Path) -> bool:
    return not path.name.startswith((".", "_")) and not path.is_dir()
