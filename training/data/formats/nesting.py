"""How deep JSON lines may be nested, looked at before a parser that recurses reads them: Arrow's ends the process."""

from __future__ import annotations

from collections.abc import Iterable

MAX_BRACKETS = 64
"""Opening brackets of one line. A row of a table has one; more are counted, although some may lie within texts."""


def may_be_deep(blocks: Iterable[bytes]) -> bool:
    """Whether a line has more than MAX_BRACKETS opening brackets, and so may be nested that deep.

    Args:
        blocks: the text, cut anywhere. Two or three passes of a byte search over each.
    """
    open_line = 0
    for block in blocks:
        brackets = _brackets(block)
        if open_line + brackets - block.count(b"\n") > MAX_BRACKETS:
            first, *more = block.split(b"\n")
            if open_line + _brackets(first) > MAX_BRACKETS or any(_brackets(line) > MAX_BRACKETS for line in more):
                return True
        _, end, last = block.rpartition(b"\n")
        open_line = _brackets(last) if end else open_line + brackets
    return False


def _brackets(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")
