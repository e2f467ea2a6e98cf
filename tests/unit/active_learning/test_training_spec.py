"""From labels to a job."""

from __future__ import annotations

from typing import Any

import pytest

from training.active_learning.spec import KnownLabel, PoolSpec, example
from training.active_learning.training_spec import train_spec

LABELS = [KnownLabel(id="1", label="good"), KnownLabel(id="2", label="bad", part="test", arm="test")]


def plan(**changes: Any) -> PoolSpec:
    return PoolSpec.model_validate(example() | changes)


def test_test_rows_are_the_only_ones_that_measure() -> None:
    spec = train_spec(plan(), LABELS, {"pool": "p"})
    assert [(one.id, one.part) for one in spec.data.source.labels] == [("1", "train"), ("2", "test")]
    assert spec.split.strategy == "predefined"
    assert (spec.tune, spec.tags) == (None, {"pool": "p"})


@pytest.mark.parametrize(
    ("tune", "again"),
    [
        ({"num_trials": 60}, 15),
        ({"num_trials": 12}, 8),
        ({"num_trials": 5}, 5),
        ({"num_trials": 60, "warm_start": False}, 60),
        ({"num_trials": 60, "searcher": "grid"}, 60),
    ],
)
def test_a_search_that_begins_where_the_last_one_ended_is_shorter(tune: dict[str, Any], again: int) -> None:
    first, later = (train_spec(plan(tune=tune), LABELS, {}, again=when).tune for when in (False, True))
    assert first is not None
    assert later is not None
    assert (first.num_trials, later.num_trials) == (tune["num_trials"], again)
    assert later.warm_start is tune.get("warm_start", True)
