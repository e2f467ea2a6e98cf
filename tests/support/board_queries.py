"""The queries of the shipped Grafana board, read by a parser of PromQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import promql_parser

BOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "model-training-service.json"


def board() -> dict[str, Any]:
    """The board as it is shipped."""
    return dict(json.loads(BOARD.read_text(encoding="utf-8")))


def queries(board: dict[str, Any]) -> list[str]:
    """The expressions of all panels."""
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def metric_names(query: str) -> set[str]:
    """Names of the series that a query reads.

    Raises:
        ValueError: it is no PromQL.
    """
    found: set[str] = set()

    def note(expression: promql_parser.Expr) -> bool:
        if isinstance(expression, promql_parser.VectorSelector) and expression.name:
            found.add(expression.name)
        return True

    promql_parser.walk(promql_parser.parse(query), note)
    return found
