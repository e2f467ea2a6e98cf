"""Folds of every kind, each tried for what it would leak if it were wrong."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import infer_schema, split_rows
from training.data.folds import Fold, FoldPlan, make_folds, nested_splits
from training.data.table import Split
from training.errors import DataError, TrainingError
from training.spec import DataSpec, InlineSource, SplitSpec

ROWS = 600
DAY_S = 86_400.0


def table(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame({
        "x": generator.normal(size=rows),
        "customer": generator.integers(0, rows // 6, rows),
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 200, rows), unit="D"),
        "y": generator.choice(["no", "yes"], rows, p=[0.85, 0.15]),
    })  # fmt: skip


def specs(**parts: Any) -> tuple[DataSpec, SplitSpec]:
    data = {name: parts.pop(name) for name in ("group_column", "time_column") if name in parts}
    source = InlineSource(rows=[{"a": 1}])
    return DataSpec(source=source, target="y", **data), SplitSpec(**parts)


def folds_of(frame: pd.DataFrame, plan: FoldPlan, **parts: Any) -> tuple[Split, tuple[Fold, ...]]:
    data, spec = specs(**parts)
    schema = infer_schema(frame, data, spec)
    split = split_rows(frame, schema, data, spec)
    return split, make_folds(frame, schema, data, spec, split=split, plan=plan)


KINDS: dict[str, dict[str, Any]] = {
    "random": {"strategy": "random"},
    "stratified": {},
    "group": {"group_column": "customer"},
    "time": {"time_column": "when"},
    "time with groups": {"time_column": "when", "group_column": "customer"},
    "time with a gap": {"time_column": "when", "gap": 7 * DAY_S},
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_fold_touches_the_test_rows_and_no_row_judges_itself(kind: str) -> None:
    split, folds = folds_of(table(), FoldPlan(5, 2), **KINDS[kind])
    for fold in folds:
        assert not np.intersect1d(fold.train, split.test).size
        assert not np.intersect1d(fold.validation, split.test).size
        assert not np.intersect1d(fold.train, fold.validation).size
        assert len(fold.train) > 0
        assert len(fold.validation) > 0
        assert (np.diff(fold.train) > 0).all()


@pytest.mark.parametrize("kind", ["random", "stratified", "group"])
def test_each_row_judges_once_in_each_repeat(kind: str) -> None:
    split, folds = folds_of(table(), FoldPlan(4, 3), **KINDS[kind])
    everyone = np.sort(np.concatenate([split.train, split.validation]))
    assert len(folds) == 12
    for repeat in range(3):
        judged = np.sort(np.concatenate([fold.validation for fold in folds[4 * repeat : 4 * repeat + 4]]))
        np.testing.assert_array_equal(judged, everyone)
    assert not np.array_equal(folds[0].validation, folds[4].validation)


def test_a_rare_class_is_in_every_fold_in_proportion() -> None:
    frame = table()
    _, folds = folds_of(frame, FoldPlan(5))
    shares = [(frame["y"].iloc[fold.validation] == "yes").mean() for fold in folds]
    assert max(shares) - min(shares) < 0.02


@pytest.mark.parametrize("kind", ["group", "time with groups"])
def test_a_customer_is_never_on_both_sides(kind: str) -> None:
    frame = table()
    _, folds = folds_of(frame, FoldPlan(5), **KINDS[kind])
    for fold in folds:
        assert not set(frame["customer"].iloc[fold.train]) & set(frame["customer"].iloc[fold.validation])


def test_groups_fill_the_folds_evenly() -> None:
    frame = table()
    _, folds = folds_of(frame, FoldPlan(5), group_column="customer")
    sizes = [len(fold.validation) for fold in folds]
    assert max(sizes) - min(sizes) <= 0.1 * sum(sizes) / 5


@pytest.mark.parametrize(("kind", "days"), [("time", 0), ("time with groups", 0), ("time with a gap", 7)])
@pytest.mark.parametrize("window", ["expanding", "rolling"])
def test_nothing_is_judged_on_rows_older_than_what_it_was_fitted_on(kind: str, days: int, window: Any) -> None:
    frame = table()
    _, folds = folds_of(frame, FoldPlan(4), window=window, **KINDS[kind])
    when = frame["when"]
    assert len(folds) == 4
    for fold in folds:
        oldest = when.iloc[fold.validation].min()
        newest = when.iloc[fold.train].max()
        assert newest < oldest
        assert oldest - newest >= pd.Timedelta(days=days)
    for before, after in itertools.pairwise(folds):
        assert when.iloc[before.validation].max() < when.iloc[after.validation].min()


def test_a_rolling_window_forgets_old_rows() -> None:
    frame = table()
    _, growing = folds_of(frame, FoldPlan(4), time_column="when", window="expanding")
    _, rolling = folds_of(frame, FoldPlan(4), time_column="when", window="rolling")
    assert all(set(one.train) < set(other.train) for one, other in itertools.pairwise(growing))
    spans = [frame["when"].iloc[fold.train].nunique() for fold in rolling]
    assert len(set(spans)) == 1
    assert frame["when"].iloc[rolling[-1].train].min() > frame["when"].min()


def test_the_gap_holds_in_the_split_itself() -> None:
    frame = table()
    data, spec = specs(time_column="when", gap=10 * DAY_S)
    split = split_rows(frame, infer_schema(frame, data, spec), data, spec)
    when = frame["when"]
    ten_days = pd.Timedelta(days=10)
    assert when.iloc[split.validation].min() - when.iloc[split.train].max() >= ten_days
    assert when.iloc[split.test].min() - when.iloc[split.validation].max() >= ten_days
    assert "in the gaps are left out" in split.reason


def test_a_gap_that_leaves_nothing_is_an_error() -> None:
    frame = table()
    data, spec = specs(time_column="when", gap=400 * DAY_S)
    with pytest.raises(DataError, match=r"split\.gap: the gap leaves no"):
        split_rows(frame, infer_schema(frame, data, spec), data, spec)


@pytest.mark.parametrize("kind", KINDS)
def test_nested_splits_keep_every_rule(kind: str) -> None:
    frame = table()
    data, spec = specs(folds=3, **KINDS[kind])
    schema = infer_schema(frame, data, spec)
    whole = split_rows(frame, schema, data, spec)
    splits = nested_splits(frame, schema, data, spec, split=whole)
    assert len(splits) == 3
    for split in splits:
        assert not np.intersect1d(np.concatenate([split.train, split.validation, split.test]), whole.test).size
        parts = [split.train, split.validation, split.test]
        for one, other in itertools.combinations(parts, 2):
            assert not np.intersect1d(one, other).size
            if data.group_column:
                assert not set(frame["customer"].iloc[one]) & set(frame["customer"].iloc[other])
        if data.time_column:
            fitted = frame["when"].iloc[np.concatenate(parts[:2])]
            assert fitted.max() < frame["when"].iloc[split.test].min()
        inner = make_folds(frame, schema, data, spec, split=split, plan=FoldPlan(2))
        assert all(not np.intersect1d(fold.validation, split.test).size for fold in inner)


@pytest.mark.parametrize(
    ("parts", "field", "words"),
    [
        ({"strategy": "predefined", "column": "part", "folds": 5}, "split.folds", "leave folds out"),
        ({"time_column": "when", "folds": 5, "repeats": 2}, "split.repeats", "leave repeats out"),
        ({"time_column": "month", "folds": 4}, "split.folds", "fold 1 leaves too little to take validation rows from"),
        ({"group_column": "few", "folds": 2}, "split.folds", "fold 1 leaves too little"),
    ],
)
def test_folds_that_cannot_be(parts: dict[str, Any], field: str, words: str) -> None:
    frame = table().assign(
        part="train", month=lambda rows: rows["when"].dt.month, few=lambda rows: rows["customer"] % 3
    )
    frame.loc[frame.index[:100], "part"] = "test"
    data, spec = specs(**parts)
    schema = infer_schema(frame, data, spec)
    split = split_rows(frame, schema, data, spec)
    with pytest.raises(TrainingError, match=words) as caught:
        nested_splits(frame, schema, data, spec, split=split)
    assert caught.value.problems[0].field == field


def test_the_same_seed_gives_the_same_folds() -> None:
    one, other = (folds_of(table(), FoldPlan(3, 2), seed=4)[1] for _ in range(2))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.validation, second.validation)


@pytest.mark.parametrize(
    ("rows", "parts", "words"),
    [
        (24, {}, "do not fill 20 folds"),
        (600, {"group_column": "few"}, "4 groups do not fill 20 folds"),
        (600, {"time_column": "few"}, "different times do not fill 20 folds"),
    ],
)
def test_too_little_for_so_many_folds(rows: int, parts: dict[str, Any], words: str) -> None:
    frame = table(rows).assign(few=np.arange(rows) % 6)
    frame.loc[frame["few"] == 5, "few"] = 4 if "group_column" in parts else 5
    with pytest.raises(DataError, match=words):
        folds_of(frame, FoldPlan(20), **parts)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), folds=st.integers(2, 6), days=st.integers(8, 60), rolling=st.booleans())
def test_time_folds_never_leak(seed: int, folds: int, days: int, rolling: bool) -> None:
    generator = np.random.default_rng(seed)
    frame = table(120, seed).assign(when=generator.integers(0, days, 120))
    data, spec = specs(time_column="when", window="rolling" if rolling else "expanding")
    schema = infer_schema(frame, data, spec)
    everything = Split("time", "", np.arange(120), np.zeros(0, np.int64), np.zeros(0, np.int64))
    for fold in make_folds(frame, schema, data, spec, split=everything, plan=FoldPlan(folds)):
        assert frame["when"].iloc[fold.train].max() < frame["when"].iloc[fold.validation].min()
