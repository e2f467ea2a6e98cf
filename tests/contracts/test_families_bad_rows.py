"""What every model family makes of rows that are hard to learn from: it ends, with finite scores of the right form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from family_specs import fit, mixed_data, mixed_frame, scoring_model, specs

from training.data.table import Column, Rows
from training.models import FitData
from training.spec import ModelSpec

OUTLIERS = 1000.0
"""How many times an outlier is larger than it would be."""


def of_task(task: str) -> Any:
    """Every spec that can learn the task; each fits several models or takes its time, so that none is quick."""
    cases = [pytest.param(spec, id=name, marks=pytest.mark.slow) for name, spec, tasks in specs() if task in tasks]
    return pytest.mark.parametrize("spec", cases)


def scores_of(spec: ModelSpec, data: FitData, fresh: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The scores of rows that the fit did not see, all of them finite, and of the form that the task has."""
    scores = scoring_model(fit(spec, data), data).scores(fresh)
    assert np.isfinite(scores).all()
    if data.schema.classes:
        assert scores.shape == (len(fresh), len(data.schema.classes))
        np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=0, atol=1e-9)
    return scores


def with_columns(data: FitData, columns: dict[str, str], **values: Any) -> FitData:
    """The data with further columns; `values` are functions from a number of rows to a column."""
    parts = [
        Rows(rows.frame.assign(**{name: make(len(rows)) for name, make in values.items()}), rows.target, rows.weight)
        for rows in (data.train, data.validation)
        if rows is not None
    ]
    added = tuple(Column(name, kind, "feature", 0, 500) for name, kind in columns.items())  # type: ignore[arg-type]
    return FitData(replace(data.schema, columns=(*data.schema.columns, *added)), parts[0], parts[1])


@of_task("regression")
def test_a_target_with_outliers(spec: ModelSpec) -> None:
    data = mixed_data("regression")
    parts = []
    for rows in (data.train, data.validation):
        assert rows is not None
        target = rows.target.astype(np.float64)
        target[::100] *= OUTLIERS
        parts.append(replace(rows, target=target))
    scores = scores_of(spec, FitData(data.schema, parts[0], parts[1]), mixed_frame(200, seed=3))
    assert np.abs(scores).max() <= 2.0 * np.abs(parts[0].target).max()


@of_task("binary")
def test_columns_that_are_empty_or_constant(spec: ModelSpec) -> None:
    """They are dropped before a fit, but a fold of the rows may have them all the same."""
    kinds = {"no_number": "numeric", "no_text": "categorical", "no_time": "datetime", "same": "numeric"}
    holds = {
        "no_number": lambda rows: np.full(rows, np.nan),
        "no_text": lambda rows: np.full(rows, None, dtype=object),
        "no_time": lambda rows: pd.Series(pd.NaT, index=range(rows), dtype="datetime64[us]"),
        "same": lambda rows: np.full(rows, 7.0),
    }
    data = with_columns(mixed_data("binary"), kinds, **holds)
    fresh = mixed_frame(50, seed=3).assign(no_number=1.5, no_text="now", no_time=pd.Timestamp("2024-01-01"), same=8.0)
    scores_of(spec, data, fresh)


@of_task("binary")
def test_a_category_of_its_own_for_every_row(spec: ModelSpec) -> None:
    own = {"own": lambda rows: np.array([f"{rows} {number}" for number in range(rows)], dtype=object)}
    data = with_columns(mixed_data("binary"), {"own": "categorical"}, **own)
    scores = scores_of(spec, data, mixed_frame(100, seed=3).assign(own=[f"new {number}" for number in range(100)]))
    assert scores[:, 1].std() > 0.01, "what the other columns say is lost"


@of_task("multiclass")
def test_twenty_classes_of_few_rows(spec: ModelSpec) -> None:
    classes = tuple(f"c{code:02}" for code in range(20))
    schema = replace(mixed_data("multiclass").schema, classes=classes)
    parts = [Rows(mixed_frame(20 * each, seed), np.tile(np.arange(20), each), None) for each, seed in ((4, 1), (1, 2))]
    scores_of(spec, FitData(schema, parts[0], parts[1]), mixed_frame(50, seed=3))


@of_task("binary")
def test_one_row_in_a_thousand(spec: ModelSpec) -> None:
    parts = []
    for count, rare, seed in ((3000, 3, 1), (1000, 1, 2)):
        target = np.zeros(count, np.int64)
        target[:rare] = 1
        frame = mixed_frame(count, seed)
        frame.loc[:rare, "age"] = 120
        parts.append(Rows(frame, target, None))
    scores = scores_of(spec, FitData(mixed_data("binary").schema, parts[0], parts[1]), mixed_frame(500, seed=3))
    assert scores[:, 1].mean() < 0.03, "the rare class is told more often than it is"
