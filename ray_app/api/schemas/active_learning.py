"""Wire types of the active learning endpoints: requests are specs; here are their examples."""

from __future__ import annotations

from typing import Any

from training.active_learning.spec import example

POOL_EXAMPLES: dict[str, dict[str, Any]] = {
    "german credit": {"summary": "German credit, rows by number, margin sampling", "value": example()},
    "regression": {
        "summary": "A regression, by expected model change, two labellers a row",
        "value": {
            "name": "diabetes-labels",
            "data": {
                "source": {"type": "file", "uri": "examples/data/diabetes.csv"}, "target": "progression",
                "task": "regression",
            },
            "labels_per_row": 2,
            "test_size": 60,
        },
    },
}  # fmt: skip
QUERY_EXAMPLES: dict[str, dict[str, Any]] = {
    "ten": {"summary": "Ten rows for ann", "value": {"labeller": "ann", "size": 10}},
}
LABELS_EXAMPLES: dict[str, dict[str, Any]] = {
    "mixed": {
        "summary": "A label, a guess and a row that cannot be labelled",
        "value": {
            "labeller": "ann",
            "labels": [
                {"id": "17", "label": "bad"},
                {"id": "21", "label": "good", "verdict": "unsure"},
                {"id": "40", "verdict": "skip"},
            ],
        },
    },
}
