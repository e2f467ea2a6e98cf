"""Nested parameters as MLflow keeps them: flat names, short texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_VALUE_CHARS = 1000
MAX_NAME_CHARS = 250
MAX_LISTED = 50
_REFUSED = re.compile(r"[^\w\-./ ]")
"""Characters that MLflow refuses in names."""


def flat_params(params: Mapping[str, Any]) -> dict[str, str]:
    """{"model": {"params": {"eta": 0.1}}} as {"model.params.eta": "0.1"}.

    Nothing and empty parts are left out; a list is JSON, a long one (rows inline) only its length.
    """
    flat: dict[str, str] = {}
    for name, value in _leaves("", params):
        key = _REFUSED.sub("_", name)[:MAX_NAME_CHARS].strip("/. ") or "_"
        flat[key] = value if len(value) <= MAX_VALUE_CHARS else value[: MAX_VALUE_CHARS - 1] + "…"
    return flat


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(f"{prefix}.{name}" if prefix else str(name), part)
    elif isinstance(value, list | tuple):
        if value:
            listed = len(value) <= MAX_LISTED and not any(isinstance(part, Mapping) for part in value)
            yield prefix, json.dumps(value, ensure_ascii=False, default=str) if listed else f"<{len(value)} entries>"
    elif value is not None:
        yield prefix, value if isinstance(value, str) else json.dumps(value, default=str)
