"""Folds: each row is held out by a model that may know nothing of it, whatever ties rows together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.data.table import Column, Rows, TableSchema
from training.errors import DataError
from training.models.base import FitData, Structure
from training.models.pool import Pool, folds_of, joined, structure_in, taken

ROWS, VALIDATION = 90, 30
FREE = Structure()


def pool_of(structure: Structure = FREE, task: str = "binary", codes: np.ndarray | None = None) -> Pool:
    target = np.arange(ROWS + VALIDATION) % 3 == 0 if codes is None else codes
    values = target.astype(np.float64 if task == "regression" else np.int64)
    frame = pd.DataFrame({"x": np.arange(float(ROWS + VALIDATION)), "c": pd.Categorical(["a", "b"] * 60)})
    schema = TableSchema((Column("x", "numeric", "feature", 0, 2),), "t", task, ("no", "yes"), ())
    rows = Rows(frame, values, None)
    first, rest = np.arange(ROWS), np.arange(ROWS, ROWS + VALIDATION)
    return Pool.of(FitData(schema, taken(rows, first), taken(rows, rest), structure))


def test_the_pool_is_the_train_then_the_validation_rows() -> None:
    pool = pool_of()
    assert pool.rows.frame["x"].tolist() == list(range(ROWS + VALIDATION))
    assert pool.rows.frame["c"].dtype == "category"
    assert pool.first_validation == ROWS


def test_columns_that_are_wholly_missing_on_one_side_join() -> None:
    first = Rows(pd.DataFrame({"c": pd.Series(["a", "b"], dtype=object)}), np.zeros(2), np.ones(2))
    second = Rows(pd.DataFrame({"c": pd.Series([np.nan, np.nan])}), np.ones(2), np.ones(2))
    both = joined(first, second)
    assert both.frame["c"].isna().tolist() == [False, False, True, True]
    assert both.weight is not None


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_by_chance_every_row_is_held_out_once(task: str) -> None:
    pool = pool_of(task=task)
    folds = folds_of(pool, 5, seed=1)
    assert sorted(np.concatenate([fold.held for fold in folds])) == list(range(len(pool)))
    for fold in folds:
        assert not set(fold.held) & set(fold.learnt)
        assert abs(len(fold.held) - 24) <= 1
        assert 0.2 < pool.rows.target[fold.held].mean() < 0.5
    again = folds_of(pool, 5, seed=1)
    assert all(np.array_equal(one.held, two.held) for one, two in zip(folds, again, strict=True))


def test_a_class_with_fewer_rows_than_folds_is_learnt_from_in_all() -> None:
    codes = np.zeros(ROWS + VALIDATION, np.int64)
    codes[:40], codes[40:43] = 1, 2
    pool = pool_of(codes=codes)
    for fold in folds_of(pool, 5, seed=0):
        assert set(pool.rows.target[fold.learnt]) == {0, 1, 2}
        assert 2 not in pool.rows.target[fold.held]


def test_groups_stay_on_one_side() -> None:
    groups = np.repeat(np.arange(40), 3)
    pool = pool_of(Structure(groups=groups))
    folds = folds_of(pool, 4, seed=0)
    assert len(folds) == 4
    for fold in folds:
        assert not set(groups[fold.held]) & set(groups[fold.learnt])
        assert 0.2 < pool.rows.target[fold.held].mean() < 0.5
    assert sorted(np.concatenate([fold.held for fold in folds])) == list(range(len(pool)))


def test_what_is_held_out_is_later_than_what_is_learnt_from() -> None:
    times = np.concatenate([np.random.default_rng(0).permutation(ROWS) // 2, np.arange(100, 100 + VALIDATION)])
    folds = folds_of(pool_of(Structure(times=times)), 4, seed=0)
    assert len(folds) == 4
    for fold in folds:
        assert times[fold.learnt].max() < times[fold.held].min()
    assert [fold.serves for fold in folds] == [False, False, False, True]
    assert folds[-1].held.tolist() == list(range(ROWS, ROWS + VALIDATION))


def test_groups_over_time_are_not_learnt_from_where_they_are_held_out() -> None:
    times, groups = np.arange(ROWS + VALIDATION), np.arange(ROWS + VALIDATION) // 7
    folds = folds_of(pool_of(Structure(times=times, groups=groups)), 3, seed=0)
    assert len(folds) == 3
    for fold in folds:
        assert not set(groups[fold.held]) & set(groups[fold.learnt])
        assert times[fold.learnt].max() < times[fold.held].min()


@pytest.mark.parametrize("rolling", [False, True])
def test_the_gap_and_the_window_hold_in_every_fold(rolling: bool) -> None:
    times = np.concatenate([np.random.default_rng(0).permutation(ROWS), np.arange(105, 105 + VALIDATION)]) * 10.0
    structure = Structure(times=times, gap=50.0, rolling=rolling)
    folds = folds_of(pool_of(structure), 4, seed=0)
    assert folds[-1].held.tolist() == list(range(ROWS, ROWS + VALIDATION))
    for fold in folds:
        assert times[fold.held].min() - times[fold.learnt].max() >= 50
    oldest = [times[fold.learnt].min() for fold in folds]
    assert (oldest[-1] > 0) == rolling
    assert oldest == sorted(oldest)


def test_nothing_older_than_the_gap_is_an_error() -> None:
    times = np.arange(float(ROWS + VALIDATION))
    with pytest.raises(DataError, match="gap"):
        folds_of(pool_of(Structure(times=times, gap=1000.0)), 3, seed=0)


def test_the_structure_of_a_fold_is_that_of_its_rows() -> None:
    groups = np.repeat(np.arange(40), 3)
    pool = pool_of(Structure(groups=groups, fixed=True))
    fold = folds_of(pool_of(Structure(groups=groups)), 4, seed=0)[0]
    inner = structure_in(pool, fold.learnt, fold.held)
    assert inner.groups.tolist() == groups[np.concatenate([fold.learnt, fold.held])].tolist()
    assert not inner.fixed


def test_validation_rows_that_the_caller_named_are_the_only_ones_held_out() -> None:
    named = list(range(ROWS, ROWS + VALIDATION))
    folds = folds_of(pool_of(Structure(fixed=True)), 5, seed=0)
    assert sorted(np.concatenate([fold.held for fold in folds])) == named
    for fold in folds:
        assert fold.learnt.tolist() == list(range(ROWS))
        assert fold.steering is not None
        assert sorted(np.concatenate([fold.steering, fold.held])) == named


def test_one_group_only_fills_no_folds() -> None:
    with pytest.raises(DataError, match="do not fill two folds"):
        folds_of(pool_of(Structure(groups=np.zeros(ROWS + VALIDATION, np.int64))), 5, seed=0)
