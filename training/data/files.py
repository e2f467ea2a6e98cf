"""A file that a spec may read, and the error for one that it may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from training.errors import AccessError

MAX_EXPANSION = 100
"""Bytes of text that one compressed byte may stand for. Tables have 3 to 20; gzip can reach 1,030."""
GZIP_RATIO = 8
"""What a compressed table of text expands to, about."""
GZIP_TAIL_BYTES = 4
"""Hold the size of the content."""
GZIP_LIMIT = 1_032
"""One compressed byte cannot stand for more: the end of such a file is missing."""
MIN_EXPANDED_BYTES = 256 * 2**20
"""Up to here the ratio is not looked at."""


class ExpandsTooMuchError(OSError):
    """Compressed data that are far larger than any table would be: a bomb."""


@dataclass(frozen=True)
class DataFile:
    """A file that may be read, on a pyarrow file system.

    `label` is how messages name it: never more than what the caller knows already.
    """

    filesystem: Any
    path: str
    label: str
    size_bytes: int
    partition: tuple[tuple[str, str], ...] = ()
    """Columns and values that the names of its folders say, as `year=2024/month=5`."""
    first_line: int = 1
    """Of a piece of a file of text: the number of its first line in the whole."""

    @property
    def content_bytes(self) -> int:
        """About how large the content is, decompressed."""
        return GZIP_RATIO * self.size_bytes if self.name.endswith(".gz") else self.size_bytes

    @property
    def told_bytes(self) -> int:
        """How large the content of a .gz is by its last four bytes, modulo 4 GiB; 0 where they say nothing likely."""
        if self.size_bytes < GZIP_TAIL_BYTES:
            return 0
        try:
            with self.filesystem.open_input_file(self.path) as stream:
                stream.seek(self.size_bytes - GZIP_TAIL_BYTES)
                told = int.from_bytes(stream.read(GZIP_TAIL_BYTES), "little")
        except OSError:  # who reads it tells the caller
            return 0
        return told if told <= GZIP_LIMIT * self.size_bytes else 0

    @property
    def name(self) -> str:
        """Last part of the path, in lower case."""
        return self.path.rsplit("/", 1)[-1].lower()

    def open(self) -> Any:
        """A pyarrow stream of the content, decompressed where the suffix is .gz.

        Raises:
            OSError: the file went away, or the storage is not reachable.
        """
        if not self.name.endswith(".gz"):
            return self.filesystem.open_input_stream(self.path, compression=None)
        stream = self.filesystem.open_input_stream(self.path, compression="gzip")
        return pa.PythonFile(_Bounded(stream, max(MIN_EXPANDED_BYTES, MAX_EXPANSION * self.size_bytes)), mode="r")

    def head(self, size_bytes: int) -> bytes:
        """The first bytes of the content.

        Raises:
            OSError: as `open`, or the compression is damaged.
        """
        with self.open() as stream:
            return bytes(stream.read(size_bytes))


@dataclass(frozen=True)
class TextPiece(DataFile):
    """Some whole lines of a file, in memory."""

    content: bytes = b""

    def open(self) -> Any:
        """A stream of these lines."""
        return pa.BufferReader(self.content)


def text_pieces(file: DataFile, size_bytes: int) -> Iterator[TextPiece]:
    """A file of text in pieces of about this size, each of whole lines.

    Raises:
        OSError: as `open`, or the compression is damaged.
    """
    with file.open() as stream:
        line, rest = 1, b""
        while block := bytes(stream.read(size_bytes)):
            head, end, tail = block.rpartition(b"\n")
            if not end:
                rest += tail
                continue
            content, rest = rest + head + end, tail
            yield _piece(file, line, content)
            line += content.count(b"\n")
        if rest:
            yield _piece(file, line, rest)


def _piece(file: DataFile, line: int, content: bytes) -> TextPiece:
    return TextPiece(file.filesystem, file.path.removesuffix(".gz"), file.label, len(content), (), line, content)


class _Bounded:
    """A stream that breaks off when it gives more than `limit` bytes."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._left = limit

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return bool(self._stream.closed)

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        content = bytes(self._stream.read(size if size >= 0 else self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise ExpandsTooMuchError("the compressed data expand too much")
        return content

    def close(self) -> None:
        """Closes the stream below."""
        self._stream.close()


def partition_of(folders: Iterable[str]) -> tuple[tuple[str, str], ...] | None:
    """The columns that folder names say; None where one of them is no partition."""
    pairs = [folder.partition("=") for folder in folders]
    if not all(key and sign for key, sign, _ in pairs):
        return None
    return tuple((key, unquote(value)) for key, _, value in pairs)


def is_whole(text: str) -> bool:
    """Whether the name of a folder is a whole number, written as numbers are."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and (text == "0" or not digits.startswith("0"))


def local_roots(roots: tuple[str, ...]) -> list[Path]:
    """The roots that are folders of this machine, with links followed."""
    folders = [unquote(urlsplit(root).path) if root.startswith("file://") else root for root in roots]
    return [Path(folder).resolve() for folder in folders if "://" not in folder]


def refused(uri: str, roots: tuple[str, ...], field: str) -> AccessError:
    """The one error for whatever is not under a root, so that it tells nothing about what lies there."""
    allowed = ", ".join(shown_root(root) for root in roots) or "none"
    hint = f"Put the data under an allowed root ({allowed}), or ask the operator to add one to MTS_DATA_ROOTS."
    return AccessError.at(field, uri, "not under a data root that the operator allows", hint=hint)


def shown_root(root: str) -> str:
    """A root without the options and credentials that its URI may carry."""
    if "://" not in root:
        return root
    parts = urlsplit(root)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
