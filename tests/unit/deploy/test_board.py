"""The Grafana board: Grafana's own model of a board reads all of it, and each query is PromQL over metrics of ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import board_queries
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def board() -> dict[str, Any]:
    return board_queries.board()


def lost(given: Any, kept: Any, path: str = "") -> list[str]:
    """Paths of what is there in `given` and not, or otherwise, in `kept`."""
    if isinstance(given, dict):
        found = [lost(value, kept[name], f"{path}.{name}") if name in kept else [f"{path}.{name}"]
                 for name, value in given.items()]  # fmt: skip
        return [item for items in found for item in items]
    if isinstance(given, list) and len(given) == len(kept):
        return [item for place, pair in enumerate(zip(given, kept, strict=True))
                for item in lost(*pair, f"{path}[{place}]")]  # fmt: skip
    return [] if given == kept else [path]


def test_grafana_understands_every_field_of_the_board(board: dict[str, Any]) -> None:
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert lost(board, read) == []
    assert lost({**board, "titel": "Jobs"}, read) == [".titel"], "a field that Grafana does not know would be found"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_panels_do_not_lie_over_each_other(board: dict[str, Any]) -> None:
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24, "Grafana's grid has 24 columns"


def test_each_query_is_promql_and_asks_for_our_metrics(board: dict[str, Any]) -> None:
    asked = {name for query in board_queries.queries(board) for name in board_queries.metric_names(query)}
    ours = {re.sub(r"_(total|bucket)$", "", name.removeprefix("ray_")) for name in asked if "mts_" in name}
    exported = set(re.findall(r'"(mts_[a-z_]+)"', (ROOT / "ray_app" / "dispatcher" / "metrics.py").read_text()))
    known = set(re.findall(r'"(mts_[a-z_]+)"', (ROOT / "ray_app" / "api" / "telemetry.py").read_text()))
    assert ours <= exported | known
    assert exported <= ours
    assert {name for name in known if name.startswith("mts_monitor")} <= ours
