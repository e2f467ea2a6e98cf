from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import Split, check_train_rows, infer_schema, row_hashes, split_rows, split_warnings
from training.errors import DataError, SpecError
from training.spec import DataSpec, FileSource, SplitSpec

CLASSES = ["a", "b", "c"]


def split(frame: pd.DataFrame, data: dict[str, Any] | None = None, **fields: Any) -> Split:
    spec = DataSpec(source=FileSource(uri="rows.csv"), **({"target": "y"} | (data or {})))
    parts = SplitSpec(**fields)
    return split_rows(frame, infer_schema(frame, spec, parts), spec, parts)


def warnings_of(frame: pd.DataFrame, parts: Split, **data: Any) -> tuple[str, ...]:
    spec = DataSpec(source=FileSource(uri="rows.csv"), target="y", **data)
    schema = infer_schema(frame, spec, SplitSpec())
    check_train_rows(frame, schema, parts)
    return split_warnings(frame, schema, parts)


def table(rows: int = 100, **columns: Any) -> pd.DataFrame:
    x = np.random.default_rng(1).normal(size=rows)
    return pd.DataFrame({"x": x, "y": (["a", "b", "b"] * rows)[:rows]} | columns)


def assert_well_formed(parts: Split, rows: int) -> None:
    every = np.concatenate([parts.train, parts.validation, parts.test])
    assert len(np.unique(every)) == len(every), "disjoint"
    assert every.min() >= 0
    assert every.max() < rows
    for part in (parts.train, parts.validation, parts.test):
        assert len(part) > 0
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all(), "ascending"


def assert_groups_intact(groups: pd.Series, parts: Split) -> None:
    train, validation, test = (set(groups.iloc[part]) for part in (parts.train, parts.validation, parts.test))
    assert train.isdisjoint(validation)
    assert train.isdisjoint(test)
    assert validation.isdisjoint(test)


def same(one: Split, other: Split) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("train", "validation", "test"))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), rows=st.integers(20, 200), seed=st.integers(0, 2**32 - 1))
def test_every_strategy_is_disjoint_complete_and_deterministic(data, rows, seed):
    strategy = data.draw(st.sampled_from(["random", "stratified", "group", "time", "predefined"]))
    columns = st.lists(st.integers(0, 12), min_size=rows, max_size=rows)
    draw = np.random.default_rng(seed)
    frame = table(rows, g=data.draw(columns), t=data.draw(columns))
    frame.loc[:2, "g"], frame.loc[:2, "t"] = [100, 101, 102], [100, 101, 102]
    frame["s"] = draw.choice(["train", "valid", "Test "], rows)
    frame.loc[:2, "s"] = ["train", "val", "test"]
    frame["y"] = draw.choice(CLASSES, rows)
    frame.loc[:8, "y"] = CLASSES * 3
    named: dict[str, Any] = {"group": {"group_column": "g"}, "time": {"time_column": "t"}}.get(strategy, {})
    sizes = {"test_size": data.draw(st.floats(0.1, 0.5)), "validation_size": data.draw(st.floats(0.1, 0.5))}
    fields = {"strategy": strategy, "seed": seed, "column": "s" if strategy == "predefined" else None} | sizes

    parts = split(frame, named, **fields)
    assert_well_formed(parts, rows)
    assert len(parts.train) + len(parts.validation) + len(parts.test) == rows
    assert same(parts, split(frame.copy(), named, **fields))
    if strategy == "group":
        assert_groups_intact(frame["g"], parts)
    if strategy == "time":
        train, validation, test = (frame["t"].iloc[part] for part in (parts.train, parts.validation, parts.test))
        assert train.max() < validation.min()
        assert validation.max() < test.min()
    if strategy == "stratified":
        for part in (parts.train, parts.validation, parts.test):
            assert set(frame["y"].iloc[part]) == set(CLASSES)


def test_sizes_and_shares():
    frame = table(1000, y=["a"] * 100 + ["b"] * 900)
    parts = split(frame, strategy="stratified")
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [640, 160, 200]
    for part in (parts.train, parts.validation, parts.test):
        assert (frame["y"].iloc[part] == "a").mean() == pytest.approx(0.1)


def test_another_seed_gives_another_split():
    assert not same(split(table(), seed=0), split(table(), seed=1))


@pytest.mark.parametrize(
    ("target", "data", "column", "strategy"),
    [
        (None, {}, None, "stratified"),
        (np.linspace(0, 1, 100), {}, None, "random"),
        (None, {"group_column": "g"}, None, "group"),
        (None, {"time_column": "t"}, None, "time"),
        (None, {"time_column": "t", "group_column": "g"}, None, "time"),
        (None, {"time_column": "t"}, "s", "predefined"),
    ],
)
def test_auto_picks_and_says_why(target, data, column, strategy):
    frame = table(g=np.arange(100) // 5, t=pd.date_range("2024-01-01", periods=100), s=["train", "test"] * 50)
    if target is not None:
        frame["y"] = target
    parts = split(frame, data, column=column)
    assert parts.strategy == strategy
    assert parts.reason


def test_rows_without_a_target_are_in_no_part():
    frame = table(y=["a", None, "b", "b"] * 25)
    parts = split(frame)
    assert_well_formed(parts, 100)
    every = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(every) == list(np.flatnonzero(frame["y"].notna()))


def test_a_class_with_one_row():
    frame = table(y=["rare", *["a", "b", "c"] * 33])
    with pytest.raises(DataError) as caught:
        split(frame, strategy="stratified")
    assert "class 'rare' has 1 row;" in caught.value.message
    assert caught.value.problems[0].field == "split.strategy"
    assert "random or auto" in caught.value.hint
    parts = split(frame)
    assert 0 in parts.train
    assert "rare" in parts.reason
    assert any("test rows have no row of class rare" in warning for warning in warnings_of(frame, parts))


def test_a_class_with_three_rows_is_in_every_part():
    frame = table(y=["rare"] * 3 + (["a", "b"] * 49)[:97])
    parts = split(frame, strategy="stratified")
    assert all((frame["y"].iloc[part] == "rare").sum() == 1 for part in (parts.train, parts.validation, parts.test))


@pytest.mark.parametrize(
    ("strategy", "field"),
    [("time", "data.time_column"), ("group", "data.group_column"), ("predefined", "split.column")],
)
def test_a_strategy_without_its_column(strategy, field):
    with pytest.raises(SpecError) as caught:
        split(table(), strategy=strategy)
    assert caught.value.problems[0].field == field
    assert strategy in caught.value.message


@pytest.mark.parametrize("strategy", ["random", "stratified"])
def test_groups_are_never_torn_apart_by_another_strategy(strategy):
    with pytest.raises(SpecError, match="two sides"):
        split(table(g=range(100)), {"group_column": "g"}, strategy=strategy)


def test_a_regression_is_not_stratified():
    with pytest.raises(SpecError, match="no classes"):
        split(table(y=np.linspace(0, 1, 100)), strategy="stratified")


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["Monday", "Tuesday"] * 50, "holds no times, but values such as 'Monday'"),
        ([True, False] * 50, "holds no times"),
        ([1.0, None] * 50, "50 rows have no time"),
        ([1] * 100, "1 different times"),
        ([1, 2] * 50, "2 different times"),
    ],
)
def test_times_that_are_none(times, message):
    with pytest.raises(DataError) as caught:
        split(table(t=times), {"time_column": "t"})
    assert message in caught.value.message
    assert caught.value.problems[0].field == "data.time_column"


def test_time_and_groups_together_keep_both_promises():
    frame = table(t=np.arange(100), g=[*np.arange(80) % 40, *range(70, 90)])
    parts = split(frame, {"time_column": "t", "group_column": "g"})
    assert parts.strategy == "time"
    assert_groups_intact(frame["g"], parts)
    assert "16 earlier rows of groups that occur later too are left out" in parts.reason


def test_too_few_groups():
    with pytest.raises(DataError, match="2 groups; a split needs three"):
        split(table(g=[1, 2] * 50), {"group_column": "g"})


def test_rows_without_a_group_are_groups_of_their_own():
    parts = split(table(g=[None] * 100), {"group_column": "g"})
    assert_well_formed(parts, 100)
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [64, 16, 20]


def test_one_large_group_does_not_end_up_in_the_test_rows():
    parts = split(table(g=[0] * 70 + list(range(1, 31))), {"group_column": "g"})
    assert 0 in parts.train
    assert len(parts.test) == 20


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["train"] * 100, "no row of 's' is test"),
        (["test"] * 100, "no row of 's' is train"),
        (["train", "tset"] * 50, "50 rows of 's' name no part, such as 'tset'; nearest: test"),
        (["train", None] * 50, "50 rows of 's' name no part, such as None"),
    ],
)
def test_predefined_parts_that_are_none(values, message):
    with pytest.raises(DataError) as caught:
        split(table(s=values), strategy="predefined", column="s")
    assert message in caught.value.message
    assert caught.value.problems[0].field == "split.column"


def test_predefined_without_validation_takes_it_from_the_train_rows():
    frame = table(s=["train"] * 80 + ["test"] * 20)
    parts = split(frame, column="s")
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [64, 16, 20]
    assert parts.test.tolist() == list(range(80, 100))
    assert "taken from the train rows" in parts.reason


def test_predefined_carves_whole_groups():
    frame = table(s=["train"] * 80 + ["test"] * 20, g=np.arange(100) // 4)
    parts = split(frame, {"group_column": "g"}, strategy="predefined", column="s")
    assert not set(frame["g"].iloc[parts.train]) & set(frame["g"].iloc[parts.validation])


def test_shares_that_leave_no_train_rows():
    with pytest.raises(DataError) as caught:
        split(table(12), strategy="random", test_size=0.95)
    assert "12 rows do not fill three parts" in caught.value.message


def test_a_class_that_is_missing_from_the_train_rows():
    frame = table(t=range(100), y=["a", "b"] * 45 + ["new"] * 10)
    parts = split(frame, {"time_column": "t"})
    with pytest.raises(DataError) as caught:
        warnings_of(frame, parts, time_column="t")
    assert "the train rows have no row of class new" in caught.value.message
    assert caught.value.problems[0].field == "split"


def test_a_regression_target_that_is_constant_where_it_matters():
    frame = table(t=range(100), y=[1.5] * 70 + list(np.linspace(0, 1, 30)))
    with pytest.raises(DataError, match="one value in all train rows"):
        warnings_of(frame, split(frame, {"time_column": "t"}), time_column="t")
    frame = table(t=range(100), y=list(np.linspace(0, 1, 80)) + [1.5] * 20)
    assert "R²" in warnings_of(frame, split(frame, {"time_column": "t"}), time_column="t")[0]


def test_duplicates_across_the_border_are_counted():
    frame = table(100)
    parts = split(frame)
    assert warnings_of(frame, parts) == ()
    frame.iloc[parts.test[:3]] = frame.iloc[parts.train[:3]].to_numpy()
    assert "3 of 20 test rows (15.0%) are exact duplicates" in warnings_of(frame, parts)[0]


def test_row_hashes_see_through_types():
    one = pd.DataFrame(
        {"n": [1, 0], "b": [True, False], "s": ["x", "y"], "t": pd.to_datetime(["2024-01-01", "2024-01-02"])}
    )
    other = pd.DataFrame(
        {"n": [1.0, -0.0, np.nan], "b": [True, False, None], "s": pd.Categorical(["x", "y", None]), "more": 1}
    ).assign(t=pd.to_datetime(["2024-01-01", "2024-01-02", None]).as_unit("s"))
    columns = ["n", "b", "s", "t"]
    assert row_hashes(one, columns).tolist() == row_hashes(other, columns)[:2].tolist()
    assert row_hashes(one, columns).dtype == np.uint64
    assert len(set(row_hashes(other, columns))) == 3
    assert len(row_hashes(one.iloc[:0], columns)) == 0
