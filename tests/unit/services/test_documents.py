"""Documents from callers: what is read, and what is refused with its place."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.services.documents import MAX_DEPTH, MalformedError, parse_json, parse_yaml

SAFE_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | SAFE_TEXT
)
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(SAFE_TEXT, inner), max_leaves=20)


@given(PLAIN)
def test_json_that_can_be_stored_is_read_as_the_standard_parser_reads_it(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{not json", "line 1, column 2"),
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"", "line 1, column 1"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1e999}', "1e999 does not fit into 64 bits"),
        (b'{"a": 9223372036854775808}', "does not fit into 64 bits"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "does not fit into 64 bits"),
        (b'{"a": 1, "a": 2}', "'a' is given twice"),
        (b'{"a": "\xff"}', "not UTF-8: byte 0xff at position 7"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (rb'{"a": "\ud800"}', "U+D800"),
        (rb'{"a\u0000": 1}', "U+0000"),
        (b"[" * 100_000, "nested more than 64 levels deep"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "nested more than 64 levels deep"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "nested more than 64 levels deep"),
    ],
)
def test_json_that_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=re.escape(says)) as caught:
        parse_json(body)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"a: [1", "line 1"),
        (b"a: 1\na: 2\n", "'a' is given twice"),
        (b"a: &x [1]\nb: *x\n", "aliases are not allowed"),
        (b"a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        (b"a: .nan", "nan is not a number that we take"),
        (b"a: 99999999999999999999", "does not fit into 64 bits"),
        (b"1: a", "the key 1 is not text"),
        (b"[1, 2]: a", "not YAML"),
        (b"a: !!binary aGk=", "is a bytes, not a JSON value"),
        (b"a: !!set {x}", "is a set, not a JSON value"),
        (b"a: \xff", "not UTF-8"),
        (b"[" * 10_000, "nested more than 64 levels deep"),
        (b"a: " + b"x" * 1_000_001, "a YAML body may have 1000000 bytes"),
    ],
)
def test_yaml_that_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=re.escape(says)):
        parse_yaml(body)


def test_yaml_gives_what_the_same_json_gives() -> None:
    spec = b"name: x\ndata:\n  source: {type: inline, rows: [{day: 2026-01-02, v: 1.5}]}\n  target: v\n"
    assert parse_yaml(spec) == {
        "name": "x",
        "data": {"source": {"type": "inline", "rows": [{"day": "2026-01-02", "v": 1.5}]}, "target": "v"},
    }


def test_a_byte_order_mark_is_no_fault() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for parse in (parse_json, parse_yaml):
        with contextlib.suppress(MalformedError):  # any other error fails the test
            json.dumps(parse(body), allow_nan=False).encode()
