"""JSON lines that would end the process in Arrow's parser, looked for before it reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_BRACKETS = 64
"""Opening brackets of one line. A row of a table has one; more are counted, although some may lie within texts."""

_NULL = re.compile(rb"null(?<![:,\[]null)(?<![:,\[] null)")
"""Not those that are plainly the value of a key or in a list."""
_PART = 3
"""Bytes of a null that may lie in one block while the rest lies in the next."""
_WHITE = b" \t\r\xef\xbb\xbf"
"""The mark at the beginning of a file among it."""


def may_end_arrow(blocks: Iterable[bytes]) -> bool:
    """Whether a line may be nested very deep, or be a null, which Arrow follows to an address that is none.

    Args:
        blocks: the text, cut anywhere. Some passes of a byte search over each.
    """
    open_line, before = 0, b"\n"
    for block in blocks:
        text = before + block
        deep, open_line = _deep(block, open_line)
        if deep or any(_stands_alone(text, found.start()) for found in _NULL.finditer(text, 1)):
            return True
        before = _end(text)  # its first byte begins nothing
    return False


def _deep(block: bytes, open_line: int) -> tuple[bool, int]:
    """Whether a line has more than MAX_BRACKETS, and how many the last one has so far."""
    brackets = _brackets(block)
    _, end, last = block.rpartition(b"\n")
    open_after = _brackets(last) if end else open_line + brackets
    if open_line + brackets - block.count(b"\n") > MAX_BRACKETS:
        first, *more = block.split(b"\n")
        if open_line + _brackets(first) > MAX_BRACKETS or any(_brackets(line) > MAX_BRACKETS for line in more):
            return True, open_after
    return False, open_after


def _stands_alone(text: bytes, place: int) -> bool:
    """Whether what begins there begins a line, or follows an object."""
    return _context(text, place) in {b"\n", b"}"}


def _context(text: bytes, place: int) -> bytes:
    """The last byte before it that is not white; a line break counts as one that is not."""
    while place > 0 and text[place - 1] in _WHITE:
        place -= 1
    return text[max(0, place - 1) : place] or b"\n"


def _end(text: bytes) -> bytes:
    """As much of it as tells whether a null at the seam stands alone."""
    place = max(0, len(text) - _PART)
    return _context(text, place) + text[place:]


def _brackets(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")
