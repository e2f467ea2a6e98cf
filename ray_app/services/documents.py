"""From the bytes of a document to plain values that are safe to validate, to store and to print.

What comes out is made of None, bool, int (64 bits), finite float, str (no NUL, no lone surrogate), list and dict with
text keys, nested at most MAX_DEPTH deep. Standard JSON parsers let through more than that, and each extra (NaN,
duplicate keys, 1e400, half a surrogate pair) breaks somebody further down: a database, a model, a client.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable
from typing import Any, NoReturn

import yaml

from training.errors import TrainingError, shown

MAX_DEPTH = 64
MAX_YAML_BYTES = 1_000_000  # the pure Python YAML parser reads about 100 kB/s
INT64 = range(-(2**63), 2**63)
_UNSAFE_TEXT = re.compile("[\x00\ud800-\udfff]")


class MalformedError(TrainingError):
    """The bytes are not a document that we read."""


def parse_json(body: bytes) -> Any:
    """Reads JSON in UTF-8.

    Raises:
        MalformedError: says line and column where the parser knows them.
    """
    text = _decoded(body)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_int64,
        )
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise MalformedError(_too_deep()) from None
    return _plain(value)


def parse_yaml(body: bytes) -> Any:
    """Reads YAML in UTF-8: plain values only, no tags, no aliases (they can grow without bound), dates as text.

    Raises:
        MalformedError: says line and column where the parser knows them.
    """
    if len(body) > MAX_YAML_BYTES:
        raise MalformedError(
            f"a YAML body may have {MAX_YAML_BYTES} bytes, this one has {len(body)}", hint="Send it as JSON."
        )
    text = _decoded(body)
    try:
        value = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a subclass of SafeLoader that allows less
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise MalformedError(f"not YAML: {error.problem}{place}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise MalformedError(f"not YAML: {error}") from None
    except RecursionError:
        raise MalformedError(_too_deep()) from None
    return _plain(value)


class _PlainLoader(yaml.SafeLoader):
    """YAML without what JSON lacks."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it open
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _date_as_text(_: _PlainLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _date_as_text)


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedError(
            f"not UTF-8: byte {body[error.start]:#04x} at position {error.start}", hint="Encode the body as UTF-8."
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"the key {shown(twice)!r} is given twice in one object", hint="Give each key once.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is not a JSON number", hint="Write null where a value is missing.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedError(f"the number {shown(text)} does not fit into 64 bits")
    return value


def _int64(text: str) -> int:
    # 20 characters hold every 64-bit integer; longer ones are refused before the quadratic conversion of text
    if len(text) > 20 or int(text) not in INT64:
        raise MalformedError(f"the number {shown(text)} does not fit into 64 bits")
    return int(text)


def _too_deep() -> str:
    return f"nested more than {MAX_DEPTH} levels deep"


def _plain(root: Any) -> Any:
    """Walks without recursion, so that no depth can end the process."""
    level, depth = [root], 0
    while level:
        if depth > MAX_DEPTH:
            raise MalformedError(_too_deep())
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict):
                for key in value:
                    _check_key(key)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            else:
                _check_scalar(value)
        level, depth = below, depth + 1
    return root


def _check_text(text: str) -> None:
    if not text.isascii() or "\x00" in text:
        found = _UNSAFE_TEXT.search(text)
        if found:
            raise MalformedError(f"text with the code point U+{ord(found[0]):04X}, which cannot be stored")


def _check_key(key: Any) -> None:
    if not isinstance(key, str):
        raise MalformedError(f"the key {shown(key)!r} is not text", hint="Put it into quotes.")
    _check_text(key)


def _check_scalar(value: Any) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if value not in INT64:
            raise MalformedError("a number does not fit into 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise MalformedError(f"{value} is not a number that we take", hint="Write null where a value is missing.")
    else:
        raise MalformedError(f"{shown(value)!r} is a {type(value).__name__}, not a JSON value")
