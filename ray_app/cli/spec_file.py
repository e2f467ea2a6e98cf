"""A spec from a file, as JSON could carry it."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from training.errors import SpecError

STANDARD_INPUT = Path("-")


def read_spec(path: Path) -> dict[str, Any]:
    """Reads YAML or JSON from a file, or from standard input for `-`; dates become text.

    Raises:
        SpecError: it cannot be read, or is no object with fields.
    """
    try:
        text = sys.stdin.read() if path == STANDARD_INPUT else path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file", hint="examples/ holds specs to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise SpecError(f"{path}: a spec is an object with fields, not {type(document).__name__}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(document, default=_text, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise SpecError(f"{path}: holds a value that JSON cannot carry: {error}") from None
    return plain


def _text(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} of type {type(value).__name__}")
