"""`mts label`, as a person types it, over the application in process."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_app.cli.labelling import Oracle, Person
from ray_app.jobs.pools.model import PoolItem
from ray_app.services.active_learning import Batch


def item(name: str) -> PoolItem:
    return PoolItem(
        id=name, part="active", cells={"x": 1}, score=1.0, why={"strategy": "margin"}, cost=1.0, row_hash=""
    )


BATCH = Batch(pool="p", labeller="ann", classes=["good", "bad"], items=[])


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    def type_in(*lines: str) -> list[str]:
        left = list(lines)
        monkeypatch.setattr("typer.prompt", lambda *_, **__: left.pop(0))
        return left

    return type_in


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("2", {"id": "7", "label": "bad"}),
        ("good", {"id": "7", "label": "good"}),
        ("s", {"id": "7", "verdict": "skip"}),
        ("u1", {"id": "7", "label": "good", "verdict": "unsure"}),
    ],
)
def test_what_is_typed_is_said(typed: Any, line: str, entry: dict[str, Any]) -> None:
    typed(line)
    assert Person(Any).answer(BATCH, [item("7")]) == [entry]  # type: ignore[arg-type]  # the pool is not asked


def test_a_wrong_key_asks_again_and_q_stops(typed: Any) -> None:
    left = typed("x", "9", "q")
    assert Person(Any).answer(BATCH, [item("7")]) is None  # type: ignore[arg-type]
    assert left == []


def test_b_goes_back_to_the_row_before(typed: Any) -> None:
    typed("1", "b", "2")
    person = Person(Any)  # type: ignore[arg-type]
    person.answer(BATCH, [item("7")])
    assert person.answer(BATCH, [item("8")]) == [{"id": "7", "label": "bad"}]


def test_numbers_for_a_regression(typed: Any) -> None:
    typed("much", "2.5")
    batch = BATCH.model_copy(update={"classes": []})
    assert Person(Any).answer(batch, [item("7")]) == [{"id": "7", "label": 2.5}]  # type: ignore[arg-type]


def test_a_file_that_knows_skips_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["no", "y"], ["a", "good"], ["b", ""]])

    class Pool:
        spec = {"data": {"id_column": "no", "target": "y"}}

    found = Oracle.of(path, Pool()).answer(BATCH, [item("a"), item("b"), item("c")])  # type: ignore[arg-type]
    assert json.dumps(found) == json.dumps(
        [{"id": "a", "label": "good"}, {"id": "b", "verdict": "skip"}, {"id": "c", "verdict": "skip"}]
    )
