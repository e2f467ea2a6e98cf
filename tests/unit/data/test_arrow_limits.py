"""What would end the process in Arrow's parser of JSON lines is seen, wherever the blocks are cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from training.data.formats.arrow_limits import MAX_BRACKETS, may_end_arrow

ENDS = [
    b"null", b"\xef\xbb\xbfnull", b'{"a":1}\nnull', b'{"a":1} null', b'{"a":1}   \t\r null{"a":2}', b"{}null", b" null",
    b'{"a":1}\n   null\n', b'{"a":' + b"[" * MAX_BRACKETS,
]  # fmt: skip
SOUND = [
    b"", b'{"a":null}\n{"a": null, "b":  null}', b'{"a":[null, null,null]}', b'{"t":"null and null"}',
    b'{"a":1}\n{"nullable":true}', b'{"a": {"b":1}, "c":\tnull}', b'{"a":[]}\n' * MAX_BRACKETS,
]  # fmt: skip


def cut(text: bytes) -> Iterator[list[bytes]]:
    for size in range(1, len(text) + 1):
        yield [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.parametrize("text", ENDS)
def test_it_is_seen(text: bytes) -> None:
    assert all(may_end_arrow(blocks) for blocks in cut(text))


@pytest.mark.parametrize("text", SOUND)
def test_what_is_sound_goes_to_arrow(text: bytes) -> None:
    assert not any(may_end_arrow(blocks) for blocks in cut(text))
