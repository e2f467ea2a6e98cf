"""Checks a cursor of the registry before MLflow reads it, which stumbles over what it has not written."""

from __future__ import annotations

import base64
import binascii
import json

from training.errors import SpecError

MAX_OFFSET = 2**31


def registry_cursor(cursor: str | None) -> str | None:
    """The cursor, if MLflow could have written it: {"offset": n} in base 64.

    Raises:
        SpecError: it could not.
    """
    if not cursor:
        return None
    try:
        token = json.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        token = None
    offset = token.get("offset") if isinstance(token, dict) else None
    if not isinstance(offset, int) or not 0 <= offset < MAX_OFFSET:
        raise SpecError.at("cursor", cursor, "not a cursor of this list", hint="send next_cursor of the page before")
    return cursor
