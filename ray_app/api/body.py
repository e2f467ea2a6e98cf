"""Reads a request's body: JSON, or YAML for people who keep specs in files."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from ray_app.api.errors import UnsupportedMediaError
from ray_app.services.documents import parse_json, parse_yaml

YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
QUICK_BYTES = 64_000  # below this parsing costs less than the way to a thread


async def read_body(request: Request, *, default: Any = None) -> Any:
    """The body as plain values; `default` for an empty one, if it is given.

    Raises:
        MalformedError: it cannot be read.
        UnsupportedMediaError: neither JSON nor YAML.
    """
    parse = _parser(request.headers.get("content-type", "application/json"))
    body = await request.body()
    if not body.strip() and default is not None:
        return default
    if len(body) <= QUICK_BYTES and parse is parse_json:
        return parse(body)
    return await asyncio.to_thread(parse, body)


def _parser(content_type: str) -> Any:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return parse_json
    if kind in YAML_TYPES:
        return parse_yaml
    raise UnsupportedMediaError(
        f"the content type {kind!r} is not supported", hint="Send Content-Type: application/json (or application/yaml)."
    )
