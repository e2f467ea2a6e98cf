"""Wire types of the monitors endpoints: the spec itself; here are examples."""

from __future__ import annotations

from typing import Any

MONITOR_EXAMPLES: dict[str, dict[str, Any]] = {
    "smallest": {
        "summary": "The champion of german-credit, by day",
        "value": {"name": "german-credit", "model": {"name": "german-credit"}},
    },
    "strict": {
        "summary": "Windows of 5,000 rows, by slice, checked each night, retrained when performance falls",
        "value": {
            "name": "loans",
            "model": {"name": "german-credit"},
            "window": {"rows": 5000},
            "slices": ["housing"],
            "policy": {"actions": ["notify", "retrain"], "cooldown_s": 604800},
            "schedule": {"report": "0 3 * * *"},
        },
    },
}
PREDICTIONS_EXAMPLE: dict[str, Any] = {
    "id": "loan-1",
    "time": "2026-01-31T12:00:00Z",
    "features": {"duration_in_month": 24, "housing": "own"},
    "scores": 0.31,
}
OUTCOMES_EXAMPLE: dict[str, Any] = {"id": "loan-1", "actual": "bad", "time": "2026-03-02T08:00:00Z"}


def inflow_body(example: dict[str, Any]) -> dict[str, Any]:
    """The `requestBody` of a batch."""
    rows = {"type": "array", "items": {"type": "object"}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": rows,
                    "examples": {"rows": {"summary": "One row; JSON lines hold one in each line", "value": [example]}},
                },
                "application/x-ndjson": {"schema": {"type": "string"}},
                "application/vnd.apache.arrow.stream": binary,
                "application/vnd.apache.parquet": binary,
            },
        }
    }
