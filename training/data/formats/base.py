"""What a file format is: it turns one file into an Arrow table."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from training.data.files import DataFile, ExpandsTooMuchError
from training.errors import DataError
from training.spec.data import Condition

HEAD_BYTES = 65_536
"""How much of a file is looked at before it is read, to say what it is when it is not what its suffix says."""

BLOCK_BYTES = 16 * 2**20
"""Text is parsed in blocks of this size, in parallel; memory in flight is this times the number of cores."""

EXACT_FLOAT = 2.0**53
"""Whole numbers from here on are not all exact as float64."""

_SIGNATURES = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"ARROW1": "an Arrow file",
    b"%PDF": "a PDF",
    b"SQLite format 3": "a SQLite database",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"<!DOCTYPE": "HTML",
    b"<html": "HTML",
    b"<?xml": "XML",
}


@dataclass(frozen=True)
class Wanted:
    """What of a file is needed: columns, None for all; and the rows that meet all conditions."""

    columns: Sequence[str] | None = None
    conditions: Sequence[Condition] = ()


ALL = Wanted()


class TableFormat(ABC):
    """Reads files of one format.

    Stateless: one instance may be used by many threads at once. The types of the table are those that the file has or
    that its text suggests; `canonical` makes them the same for all formats.
    """

    suffixes: ClassVar[tuple[str, ...]]
    """In lower case, with the dot."""

    @abstractmethod
    def read(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Any:
        """The rows of one file as a pyarrow.Table.

        Args:
            file: the file.
            field: where the spec names it, for messages.
            wanted: what the caller will keep. A format that cannot leave out the rest cheaply gives all.

        Raises:
            DataError: the file is empty, damaged, or not of this format; names the line where there is one.
        """

    def pieces(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Iterator[Any]:
        """The same rows in several tables, at least one; by default in one. Arguments and errors as `read`."""
        yield self.read(file, field, wanted)

    def content_bytes(self, file: DataFile) -> int:
        """About how large the content of a file is, without reading it. Raises nothing: `read` says what is wrong."""
        return max(file.content_bytes, file.told_bytes) if file.name.endswith(".gz") else file.content_bytes


def recognised(head: bytes) -> str | None:
    """What a file is, by its first bytes; None for text and for what is not known."""
    start = head[:64].lstrip() if head[:1] in b" \t\r\n" else head[:64]
    for signature, kind in _SIGNATURES.items():
        if start[: len(signature)].lower() == signature.lower():
            return kind
    return "a binary file" if b"\0" in head else None


def text_head(file: DataFile, field: str, kind: str) -> bytes:
    """The first bytes of a file of text, without a byte-order mark.

    Raises:
        DataError: empty, not text, or compressed and damaged.
    """
    try:
        head = file.head(HEAD_BYTES)
    except OSError as error:
        raise unreadable(file, field, kind, error) from None
    found = recognised(head)
    if found:
        hint = "Save it as UTF-8 text." if "UTF-16" in found else "Set data.source.format, or convert the file."
        raise DataError.at(field, file.label, f"not {kind}: the file looks like {found}", hint=hint)
    head = head.removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise DataError.at(field, file.label, "the file is empty", hint="Name a file with rows.")
    return head


def check_names(names: list[str], file: DataFile, field: str) -> None:
    """Column names are unique.

    Raises:
        DataError: names one that occurs twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            hint = "Rename one of them; in CSV, check that the first line is the header."
            raise DataError.at(field, name, f"{file.label} has more than one column named {name!r}", hint=hint)
        seen.add(name)


def lost_digits(column: Any) -> bool:
    """Whether a column of floats may have come from whole numbers too long for float64 to hold exactly."""
    if not pa.types.is_floating(column.type):
        return False
    largest = pc.max(pc.abs(column)).as_py()
    if largest is None or not EXACT_FLOAT <= largest < float("inf"):
        return False
    return bool(pc.all(pc.equal(column, pc.round(column))).as_py())


def only_digits(texts: Any) -> bool:
    """Whether every text that is there is a whole number."""
    return bool(pc.all(pc.match_substring_regex(texts, r"^\s*[+-]?[0-9]+\s*$")).as_py())


def unreadable(file: DataFile, field: str, kind: str, error: OSError) -> DataError:
    """The error for a file that the system does not give, or whose compression is damaged."""
    if isinstance(error, ExpandsTooMuchError):
        return expands_too_much(file, field)
    if error.errno:
        reason = f"cannot be read: {os.strerror(error.errno)}"
        return DataError.at(field, file.label, reason, hint="Check that the file is there and may be read.")
    return damaged(file, field, "gzip" if file.name.endswith(".gz") else kind)


def expands_too_much(file: DataFile, field: str) -> DataError:
    """The error for a small file that would fill the memory."""
    reason = f"{file.size_bytes:,} bytes expand to far more than a table has; nothing of it is read"
    return DataError.at(field, file.label, reason, hint="Store the file without compression, or leave constants out.")


def damaged(file: DataFile, field: str, kind: str) -> DataError:
    """The error for a file that begins well and ends too soon or holds nonsense."""
    return DataError.at(field, file.label, f"damaged or cut off: cannot be read as {kind}", hint="Copy the file again.")


def not_utf8(file: DataFile, field: str) -> DataError | None:
    """The error that names the first line that is not UTF-8; None if all is."""
    with file.open() as stream:
        number, rest = 1, b""
        while block := stream.read(2**20):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if not _is_utf8(line):
                    return _encoding_error(file, field, number, line)
                number += 1
    return None if _is_utf8(rest) else _encoding_error(file, field, number, rest)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _encoding_error(file: DataFile, field: str, number: int, line: bytes) -> DataError:
    text = line[:80].decode(errors="replace").strip()
    hint = "Save the file as UTF-8, for example: iconv -f LATIN1 -t UTF-8 OLD > NEW."
    return DataError.at(field, file.label, f"line {number} is not UTF-8: {text!r}", hint=hint)
