"""The text of a query: that it is one SELECT, and where its parameters stand.

This is a courtesy that names a mistake early. What keeps a query from writing is the read-only transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from training.errors import SpecError, nearest

_TOKEN = re.compile(
    r"""
    (?P<skip>
        --[^\n]*                                   # comment to the end of the line
      | /\*.*?(?:\*/|\Z)                           # comment
      | [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)            # text with escapes
      | '(?:[^']|'')*(?:'|\Z)                      # text
      | "(?:[^"]|"")*(?:"|\Z)                      # quoted name
      | `[^`]*(?:`|\Z)                             # quoted name of MySQL
      | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)     # dollar-quoted text
      | ::                                         # a cast, no parameter
    )
  | :(?P<name>[A-Za-z_]\w*)
  | (?P<end>;)
  | (?P<word>\w+)
    """,
    re.VERBOSE | re.DOTALL,
)
_FIRST_WORDS = frozenset({"select", "with", "values", "table"})
_WRITING = frozenset({
    "insert", "update", "delete", "merge", "replace", "drop", "alter", "create", "truncate", "grant", "revoke", "call",
    "copy", "vacuum", "attach", "pragma", "set", "lock", "do", "explain", "begin", "commit", "execute", "into",
})  # fmt: skip
_WRITING_AFTER_WITH = frozenset({"insert", "update", "delete", "merge"})


def single_select(query: str, field: str) -> str:
    """The query without what ends it.

    Raises:
        SpecError: more than one statement, or one that does not begin as a SELECT.
    """
    words, end = [], None
    for token in _TOKEN.finditer(query):
        if end is not None and (token["word"] or token["name"] or token["end"] or _is_value(token)):
            raise _refused(field, query, "more than one statement", "Give one SELECT.")
        if token["end"]:
            end = token.start()
        elif token["word"]:
            words.append(token["word"].lower())
    if not words:
        raise _refused(field, query, "no statement", "Give one SELECT.")
    if words[0] not in _FIRST_WORDS:
        what = "writes or changes something" if words[0] in _WRITING else f"begins with {words[0]!r}"
        raise _refused(field, query, f"not a SELECT: it {what}", "Give one SELECT; sources are only read.")
    if words[0] == "with" and _WRITING_AFTER_WITH & set(words):
        raise _refused(field, query, "not a SELECT: it writes", "Give one SELECT; sources are only read.")
    return query if end is None else query[:end]


def bound(query: str, parameters: Mapping[str, Any], place: Callable[[str], str], field: str) -> str:
    """The query with `place(name)` where its parameters stand.

    Raises:
        SpecError: a parameter without a value, or a value without a place.
    """
    used: set[str] = set()

    def replaced(token: re.Match[str]) -> str:
        name = token["name"]
        if not name:
            return token[0]
        if name not in parameters:
            message = f"the query's parameter :{name} has no value{nearest(name, parameters)}"
            raise SpecError.at(f"{field}.parameters", name, message, hint=f"Add parameters.{name}.")
        used.add(name)
        return place(name)

    text = _TOKEN.sub(replaced, query)
    idle = sorted(set(parameters) - used)
    if idle:
        message = f"the query has no place :{idle[0]}"
        raise SpecError.at(f"{field}.parameters", idle[0], message, hint="Write :name in the query, or leave it out.")
    return text


def _is_value(token: re.Match[str]) -> bool:
    return bool(token["skip"]) and not token["skip"].startswith(("--", "/*"))


def _refused(field: str, query: str, reason: str, hint: str) -> SpecError:
    return SpecError.at(f"{field}.query", query, reason, hint=hint)
