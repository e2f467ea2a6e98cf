"""Which rows of the stream a retraining uses, and what its job is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from watched import BINARY, Feed, monitor, people

from training.monitoring.retraining import Retraining, plan_retraining
from training.monitoring.store import StreamStore
from training.monitoring.stream import observe

BASE: dict[str, Any] = {
    "name": "people",
    "data": {"source": {"type": "file", "uri": "old.csv"}, "target": "default"},
    "model": {"family": "sklearn", "estimator": "logistic_regression"},
    "promotion": {"policy": "always", "min_gain": 0.01},
    "tune": {"num_trials": 4},
}


def planned(folder: Path, frame: pd.DataFrame, **policy: Any) -> Retraining:
    store = StreamStore(str(folder), "people")
    feed = Feed(store)
    feed.outcomes(feed.predictions(frame))
    spec = monitor(policy={"min_labelled_rows": 500, **policy})
    return plan_retraining(spec, observe(store, BINARY, "1"), BASE, store, {"alarm": "alarm_1"})


def turned(rows: int, share: float) -> pd.DataFrame:
    """After a share of the rows the same inputs mean the opposite."""
    frame = people(rows, 3)
    after = np.arange(rows) >= share * rows
    return frame.assign(actual=np.where(after, 1 - frame["actual"], frame["actual"]))


def test_after_a_sudden_change_the_newest_rows_are_chosen(tmp_path: Path) -> None:
    plan = planned(tmp_path, turned(3000, 0.5))
    assert plan.scores is not None
    assert plan.window == max(plan.scores, key=lambda name: plan.scores[name])
    assert plan.window == "rolling"
    assert plan.scores["rolling"] > plan.scores["expanding"] + 0.05


def test_where_nothing_has_changed_no_row_is_thrown_away(tmp_path: Path) -> None:
    plan = planned(tmp_path, people(1500, 3))
    assert plan.scores is not None
    assert plan.window != "rolling"
    assert plan.train is not None
    assert len(pd.read_parquet(plan.train["data"]["source"]["uri"])) == 1500


@pytest.mark.parametrize("window", ["expanding", "rolling", "recency"])
def test_the_newest_rows_are_held_out_whatever_the_window(tmp_path: Path, window: str) -> None:
    plan = planned(tmp_path, people(1000, 4), training_window=window)
    assert plan.train is not None
    assert plan.window == window
    table = pd.read_parquet(plan.train["data"]["source"]["uri"])
    assert table["mts_part"].value_counts()["test"] == 200
    assert table["mts_part"].iloc[-200:].eq("test").all()
    assert table["mts_part"].value_counts()["validation"] == 100
    assert set(table["default"]) == {"no", "yes"}


def test_a_retrained_version_has_to_be_better_even_where_its_base_was_promoted_always(tmp_path: Path) -> None:
    plan = planned(tmp_path, people(1000, 4))
    assert plan.train is not None
    assert plan.train["promotion"] == {"policy": "if_better", "min_gain": 0.01}
    assert plan.train["tune"] == {"num_trials": 4}
    assert plan.train["tags"] == {"alarm": "alarm_1"}
    assert plan.train["data"]["positive_class"] == "yes"


def test_too_few_labels_put_a_retraining_off(tmp_path: Path) -> None:
    plan = planned(tmp_path, people(300, 4))
    assert plan.train is None
    assert plan.reason == "300 labelled rows; 500 are needed"
