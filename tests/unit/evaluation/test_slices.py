"""Slices cover all rows, by value or by quantile."""

import numpy as np
import pandas as pd
import pytest

from training.errors import SpecError
from training.evaluation import evaluate_slices, point_metrics, slice_labels


def rows():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "region": generator.choice(["north", "south", None], 400, p=[0.6, 0.35, 0.05]),
            "age": generator.normal(40, 10, 400),
            "code": generator.integers(0, 40, 400).astype(str),
            "member": generator.random(400) < 0.5,
            "since": pd.date_range("2020-01-01", periods=400, freq="D"),
        }
    )
    target = generator.integers(0, 2, 400)
    return frame, target, np.clip(0.4 + 0.2 * target + 0.2 * generator.standard_normal(400), 0, 1)


def test_each_slice_has_the_metrics_of_its_rows():
    frame, target, scores = rows()
    found = evaluate_slices(frame, ["region"], "binary", target, scores, bootstrap_samples=50)
    assert [row.value for row in found] == ["north", "south", "missing"]
    north = (frame["region"] == "north").to_numpy()
    assert found[0].rows == north.sum()
    assert found[0].metrics["roc_auc"].value == point_metrics("binary", target[north], scores[north])["roc_auc"]
    assert found[0].metrics["roc_auc"].low < found[0].metrics["roc_auc"].high
    assert [row.small for row in found] == [False, False, True]


@pytest.mark.parametrize(("column", "slices"), [("age", 4), ("since", 4), ("member", 2), ("code", 11), ("region", 3)])
def test_slices_of_a_column_are_few_and_hold_every_row_once(column, slices):
    frame, target, scores = rows()
    found = evaluate_slices(frame, [column], "binary", target, scores, bootstrap_samples=0)
    assert len(found) == slices
    assert sum(row.rows for row in found) == 400


def test_rare_values_share_a_slice():
    frame, target, scores = rows()
    values = [row.value for row in evaluate_slices(frame, ["code"], "binary", target, scores, bootstrap_samples=0)]
    assert "other (30 values)" in values


def test_a_slice_with_one_class_still_has_the_other_metrics():
    frame = pd.DataFrame({"kind": ["a"] * 30 + ["b"] * 10})
    target = np.array([0, 1] * 15 + [1] * 10)
    found = evaluate_slices(frame, ["kind"], "binary", target, np.linspace(0, 1, 40))
    assert found[1].metrics["roc_auc"].value is None
    assert found[1].metrics["accuracy"].value == 1.0


def test_values_that_no_row_has_are_no_slices():
    kind = pd.Categorical(["a"] * 40, categories=["a", "b"])
    frame = pd.DataFrame({"kind": kind, "gone": pd.Series([None] * 40, dtype=object), "empty": np.full(40, np.nan)})
    found = evaluate_slices(frame, list(frame), "binary", np.array([0, 1] * 20), np.linspace(0, 1, 40))
    assert [(row.column, row.value, row.rows) for row in found] == [
        ("kind", "a", 40), ("gone", "missing", 40), ("empty", "missing", 40),
    ]  # fmt: skip


def test_an_unknown_column_names_the_nearest():
    frame, target, scores = rows()
    with pytest.raises(SpecError, match=r"evaluation.slices: regoin: no such column; nearest: region"):
        evaluate_slices(frame, ["regoin"], "binary", target, scores)


def test_whole_numbers_are_named_alike_with_and_without_gaps() -> None:
    assert list(slice_labels(pd.Series([1, 2]))) == ["1", "2"]
    assert list(slice_labels(pd.Series([1.0, None, 2.5]))) == ["1", "missing", "2.5"]
