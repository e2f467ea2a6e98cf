"""Wire types of POST /evaluate: the spec itself; here are its examples."""

from __future__ import annotations

from typing import Any

EVALUATE_EXAMPLES: dict[str, dict[str, Any]] = {
    "champion": {
        "summary": "The champion against a file",
        "value": {
            "model": {"name": "german-credit"},
            "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}},
        },
    },
    "version": {
        "summary": "A version, with slices",
        "value": {
            "model": {"name": "german-credit", "version": "3"},
            "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}},
            "slices": ["housing"],
            "bootstrap_samples": 200,
        },
    },
}
