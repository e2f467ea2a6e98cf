"""Files on object storage, below the URI prefixes that the operator allows."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import fsspec
import pyarrow as pa
from pyarrow import fs

from training.data.files import DataFile, partition_of, refused, shown_root
from training.errors import DataError, UnavailableError

STORES = frozenset({"s3", "gs", "gcs", "abfs", "abfss", "az", "memory"})
"""Schemes of storage with folders. Web addresses are left out: a redirect would lead out of the prefix."""


def remote_files(uri: str, roots: tuple[str, ...], field: str) -> Iterator[DataFile]:
    """The files behind a URI, sorted by path: one object, those directly in a folder, or those of a glob.

    The file system is made from the root, which may carry options (s3://bucket/folder?region=eu-west-1); a URI of a
    spec may not, or it could send the service's credentials to a server of its choice. In a glob, `*` crosses folders.

    Raises:
        AccessError: not under a root.
        DataError: nothing is there.
        UnavailableError: the storage does not answer.
    """
    root, rest = _below_root(uri, roots, field)
    try:
        filesystem, start = filesystem_of(root)
        path = posixpath.join(start, rest).rstrip("/")
        if "*" in rest or "[" in rest:
            folder = path[: min(path.find(sign) for sign in "*[" if sign in path)].rpartition("/")[0]
            found = [info for info in _listed(filesystem, folder, deep=True) if fnmatch.fnmatchcase(info.path, path)]
        else:
            info = filesystem.get_file_info(path)
            found = _in_folder(filesystem, path) if info.type == fs.FileType.Directory else [info]
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UnavailableError.at(field, uri, f"the storage does not answer: {reason}") from error
    for info in sorted(found, key=lambda info: str(info.path)):
        if info.type == fs.FileType.NotFound:
            raise DataError.at(field, uri, "no such file", hint="Correct the path.")
        label = uri if info.path == path else f"{uri}: {info.base_name}"
        yield DataFile(filesystem, info.path, label, info.size, _partition(path, info.path) or ())


def _below_root(uri: str, roots: tuple[str, ...], field: str) -> tuple[str, str]:
    """The root that holds a URI, and the rest of the path below it."""
    parts = urlsplit(uri)
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or {".", ".."} & set(parts.path.split("/")))
    for root in roots:
        prefix = shown_root(root).rstrip("/")
        if plain and parts.scheme in STORES and (uri == prefix or uri.startswith(prefix + "/")):
            return root, uri[len(prefix) :].strip("/")
    raise refused(uri, roots, field)


def filesystem_of(root: str) -> tuple[Any, str]:
    """A file system and the path on it: Arrow's own where it has one for the scheme, else fsspec's.

    Raises:
        OSError: the storage does not answer.
    """
    if "://" not in root:
        return fs.LocalFileSystem(), root
    try:
        filesystem, path = fs.FileSystem.from_uri(root)
    except pa.ArrowInvalid:
        try:
            other, path = fsspec.core.url_to_fs(root)
        except (ValueError, ImportError) as error:
            raise OSError(f"no file system for {shown_root(root)}: {error}") from None
        filesystem = fs.PyFileSystem(fs.FSSpecHandler(other))
    return filesystem, str(path)


def _in_folder(filesystem: Any, folder: str) -> list[Any]:
    """The files directly in a folder and in its partitions."""
    found = _listed(filesystem, folder, deep=True)
    return [info for info in found if _partition(folder, info.path) is not None]


def _partition(folder: str, path: str) -> tuple[tuple[str, str], ...] | None:
    if not path.startswith(f"{folder}/"):
        return ()
    return partition_of(path[len(folder) + 1 :].split("/")[:-1])


def _listed(filesystem: Any, folder: str, *, deep: bool) -> list[Any]:
    infos = filesystem.get_file_info(fs.FileSelector(folder, recursive=deep, allow_not_found=True))
    return [info for info in infos if info.type == fs.FileType.File and not info.base_name.startswith((".", "_"))]
