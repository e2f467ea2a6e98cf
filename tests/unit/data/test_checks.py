"""Each check finds what is planted for it, says what to do, and stays quiet on data that are in order."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from training.data import Dataset
from training.data.checks import CHECKS
from training.errors import DataError, SpecError
from training.pipeline.prepare import Checked, check
from training.result import Finding
from training.spec import TrainSpec, parse_spec
from training.spec.validation import CheckName

ROWS = 1200


def table(**columns: Any) -> pd.DataFrame:
    """Rows that are in order, with further columns; y depends a little on x."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=ROWS)
    return pd.DataFrame({
        "x": x,
        "z": generator.normal(size=ROWS),
        "k": generator.choice(["red", "green", "blue"], ROWS),
        "y": np.where(x + generator.normal(size=ROWS) > 0, "yes", "no"),
    }).assign(**columns)  # fmt: skip


def checked(frame: pd.DataFrame, **parts: Any) -> Checked:
    data = {"source": {"type": "inline", "rows": [{"a": 1}]}, "target": "y", **parts.pop("data", {})}
    spec = parse_spec(TrainSpec, {"name": "toy", "data": data, **parts})
    return check(Dataset(frame, "0" * 64, "here"), spec)


def found(name: CheckName, frame: pd.DataFrame, **parts: Any) -> list[Finding]:
    return [finding for finding in checked(frame, **parts).findings if finding.check == name]


def test_every_name_has_a_check() -> None:
    assert set(CHECKS) == set(get_args(CheckName))


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_data_in_order_give_no_warning(task: str) -> None:
    frame = table()
    if task == "regression":
        frame["y"] = frame["x"] + np.random.default_rng(5).normal(size=ROWS)
    elif task == "multiclass":
        frame["y"] = np.random.default_rng(5).choice(["a", "b", "c"], ROWS)
    assert [one for one in checked(frame).findings if one.severity != "info"] == []


@pytest.mark.parametrize(
    "leak",
    [
        lambda y: (y == "yes") * 1.0,
        lambda y: np.where(y == "yes", "paid", "defaulted"),
        lambda y: (y == "yes") * 10 + np.random.default_rng(1).normal(size=ROWS),
        lambda y: np.where(y == "yes", 1, -1) ** 2 * np.where(y == "yes", 0.0, 5.0),
    ],
)
def test_a_feature_that_knows_the_answer(leak: Any) -> None:
    frame = table()
    finding = found("single_feature", frame.assign(leak=leak(frame["y"])))[0]
    assert (finding.severity, finding.columns) == ("error", ["leak"])
    assert finding.figures["score"] >= 0.999
    assert "data.exclude" in finding.remedy


def test_a_feature_that_knows_the_amount() -> None:
    frame = table()
    frame["y"] = np.random.default_rng(2).normal(size=ROWS)
    assert found("single_feature", frame.assign(leak=frame["y"] * 3 + 1))[0].columns == ["leak"]


def test_many_rare_categories_are_no_leak() -> None:
    codes = np.random.default_rng(4).integers(0, 600, ROWS)
    frame = table(shop=[f"shop {code}" for code in codes])
    assert found("single_feature", frame, data={"include": ["x", "shop"]}) == []


def test_a_column_that_is_filled_in_after_the_event() -> None:
    frame = table()
    loss = np.where(frame["y"] == "yes", np.nan, np.random.default_rng(6).uniform(1, 2, ROWS))
    loss[np.random.default_rng(7).random(ROWS) < 0.3] = np.nan
    finding = found("after_event", frame.assign(loss=loss))[0]
    assert (finding.severity, finding.columns) == ("error", ["loss"])
    assert "filled in" in finding.evidence


def test_missingness_that_predicts() -> None:
    frame = table()
    generator = np.random.default_rng(8)
    gone = generator.random(ROWS) < np.where(frame["y"] == "yes", 0.8, 0.2)
    frame["income"] = np.where(gone, np.nan, generator.normal(size=ROWS))
    assert found("missingness", frame)[0].columns == ["income"]
    assert found("after_event", frame) == []


def test_columns_that_say_the_same() -> None:
    frame = table()
    frame = frame.assign(x_in_cents=frame["x"] * 100, colour=frame["k"].map({"red": "R", "green": "G", "blue": "B"}))
    pairs = [set(one.columns) for one in found("duplicate_columns", frame)]
    assert pairs == [{"x", "x_in_cents"}, {"k", "colour"}]


def test_a_random_split_over_time() -> None:
    frame = table(when=pd.date_range("2024-01-01", periods=ROWS, freq="h"))
    finding = found("time_overlap", frame, data={"time_column": "when"}, split={"strategy": "random"})[0]
    assert finding.figures["share"] > 0.9
    assert "split.strategy time" in finding.remedy
    assert found("time_overlap", frame, data={"time_column": "when"}) == []


def test_test_rows_that_were_seen() -> None:
    frame = table()
    finding = found("duplicate_rows", pd.concat([frame, frame.head(300)], ignore_index=True))[0]
    assert finding.figures["share"] > 0.1


def test_a_category_of_the_test_rows_alone() -> None:
    frame = table(part=np.where(np.arange(ROWS) < 900, "train", "test"))
    frame.loc[1000:1100, "k"] = "violet"
    finding = found("unseen_category", frame, split={"column": "part"})[0]
    assert (finding.severity, finding.columns) == ("warning", ["k"])
    assert "violet" in finding.evidence


def test_drift_names_the_columns() -> None:
    frame = table(part=np.where(np.arange(ROWS) < 900, "train", "test"))
    frame.loc[900:, "z"] += 4
    finding = found("drift", frame, split={"column": "part"})[0]
    assert finding.columns[0] == "z"
    assert finding.figures["score"] > 0.9


def test_a_class_of_few_rows() -> None:
    frame = table()
    frame.loc[:6, "y"] = "maybe"
    finding = found("class_counts", frame)[0]
    assert finding.severity == "warning"
    assert "class maybe" in finding.evidence


def test_a_few_values_that_decide_the_squared_error() -> None:
    frame = table()
    frame["y"] = 10 + frame["x"] + np.random.default_rng(5).normal(size=ROWS)
    assert found("target_outliers", frame) == []
    assert found("target_outliers", frame.assign(y=np.exp(frame["x"]))) == []
    frame.loc[:: ROWS // 5, "y"] *= 1000
    finding = found("target_outliers", frame)[0]
    assert (finding.severity, finding.columns) == ("warning", ["y"])
    assert finding.figures["share"] > 0.99
    assert "reg:absoluteerror" in finding.remedy


def test_what_is_no_feature_is_told() -> None:
    frame = table(loan_id=np.arange(ROWS), same=1, hole=np.nan)
    assert found("identifier", frame)[0].columns == ["loan_id"]
    assert [one.columns for one in found("constant", frame)] == [["same"], ["hole"]]


RULES: list[tuple[dict[str, Any], str]] = [
    ({"x": {"min": 0}}, "are below 0, the first in row"),
    ({"gap": {"max": 5}}, "are above 5, the first in row 7: 6"),
    ({"x": {"max": 0}}, "are above 0"),
    ({"k": {"allowed": ["red", "green"]}}, "are not allowed, the first in row"),
    ({"k": {"unique": True}}, "occur more than once"),
    ({"k": {"type": "number"}}, "k holds object, not number"),
    ({"k": {"min": 3}}, "are no numbers"),
    ({"z": {"type": "whole"}}, "not whole"),
    ({"zz": {}}, "there is no column zz"),
    ({"gap": {"nullable": False}}, "1 values of gap are missing, the first in row 8"),
]


@pytest.mark.parametrize(("rules", "words"), RULES)
def test_a_broken_rule_stops_the_job(rules: dict[str, Any], words: str) -> None:
    frame = table(gap=np.where(np.arange(ROWS) == 7, np.nan, np.arange(ROWS) % 9))
    with pytest.raises(DataError) as caught:
        checked(frame, validation={"columns": rules})
    assert words in caught.value.message
    assert caught.value.problems[0].field == "validation.schema"


def test_rules_that_hold() -> None:
    rules = {
        "x": {"type": "number", "min": -10, "max": 10, "nullable": False, "unique": True},
        "k": {"type": "text", "allowed": ["red", "green", "blue"]},
        "note": {"required": False},
    }
    assert found("schema", table(), validation={"columns": rules}) == []


def test_rules_that_make_no_sense() -> None:
    with pytest.raises(SpecError, match="min 2 is above max 1"):
        checked(table(), validation={"columns": {"x": {"min": 2, "max": 1}}})
    with pytest.raises(SpecError, match=r"validation\.fail_on"):
        checked(table(), validation={"fail_on": ["leaks"]})


def test_what_fails_and_what_warns_is_the_specs_choice() -> None:
    frame = table()
    frame["leak"] = (frame["y"] == "yes") * 1.0
    assert any(line.startswith("single_feature: leak alone predicts y") for line in checked(frame).warnings)
    assert not any("single_feature" in line for line in checked(frame, validation={"warn_on": []}).warnings)
    with pytest.raises(DataError, match="check single_feature failed: leak alone") as caught:
        checked(frame, validation={"fail_on": ["single_feature", "drift"]})
    assert caught.value.problems[0].value == "leak"
    assert "validation.fail_on" in caught.value.hint


def test_the_same_data_give_the_same_findings() -> None:
    frame = table(part=np.where(np.arange(ROWS) < 900, "train", "test"))
    frame.loc[900:, "z"] += 2
    assert checked(frame, split={"column": "part"}).findings == checked(frame, split={"column": "part"}).findings
