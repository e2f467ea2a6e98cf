"""A frame that is read once for all parts of a model says what each part would have read from the raw one."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from family_specs import KINDS, fit, mixed_data, mixed_frame, scoring_model

from training.mts_scoring import read_once as read_once_module
from training.mts_scoring.columns import Feature, InputError
from training.mts_scoring.encoder import TableEncoder
from training.mts_scoring.network_encoder import NetworkEncoder
from training.mts_scoring.read_once import read_once
from training.spec import HybridSpec, SklearnSpec, XGBoostSpec

FEATURES = (
    Feature("number", "numeric"), Feature("odd number", "numeric"), Feature("label", "categorical"),
    Feature("truth", "boolean"), Feature("moment", "datetime"), Feature("day", "datetime"),
)  # fmt: skip


def odd_frame(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(rows)

    def some(values: list[object]) -> list[object]:
        return [values[place] for place in rng.integers(0, len(values), rows)]

    return pd.DataFrame({
        "number": rng.integers(0, 9, rows),
        "odd number": pd.Series(some([1, 2.5, None, 30.0]), dtype=object),
        "label": pd.Series(some([1, 1.0, "1", "1.0", True, "True", None, Decimal("1.0"), "ö", 0]), dtype=object),
        "truth": pd.Series(some([True, False, None, 1, 0.0, "TRUE"]), dtype=object),
        "moment": pd.Series(some(["2024-01-31", "2024-01-31T12:00:00+02:00", None]), dtype=object),
        "day": pd.Series(some([dt.date(2020, 2, 29), dt.date(2021, 3, 1), None]), dtype=object),
    })  # fmt: skip


@pytest.mark.parametrize("rows", [200, 2000])
@pytest.mark.parametrize("style", ["tree", "linear"])
def test_encoders_read_the_same(rows: int, style: str) -> None:
    encoder = TableEncoder.fit(odd_frame(300), FEATURES, style=style)  # type: ignore[arg-type]
    frame = odd_frame(rows)
    [read] = read_once(frame, FEATURES)
    np.testing.assert_array_equal(encoder.transform(read), encoder.transform(frame))


def test_networks_read_the_same() -> None:
    encoder = NetworkEncoder.fit(odd_frame(300), FEATURES, scaling="quantile")
    frame = odd_frame(700)
    [read] = read_once(frame, FEATURES)
    for one, other in zip(encoder.transform(read), encoder.transform(frame), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_stack_scores_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [XGBoostSpec(params={"n_estimators": 10}), SklearnSpec(estimator="logistic_regression")]
    data = mixed_data("binary")
    model = scoring_model(fit(HybridSpec(members=members, params={"n_folds": 2}), data), data)
    assert model.predictor.readings() > 1
    frame = mixed_frame(300, seed=3)
    plain = model.predictor.predict(frame)
    np.testing.assert_array_equal(model.scores(frame), plain)
    monkeypatch.setattr(read_once_module, "MOST_ROWS", 128)
    np.testing.assert_allclose(model.scores(frame), plain, rtol=1e-12)
    assert list(KINDS) == [feature.name for feature in model.features]


def test_what_no_part_could_read_is_named() -> None:
    with pytest.raises(InputError, match="column 'number' should hold a number, not 'many'"):
        list(read_once(odd_frame(70).assign(number="many"), FEATURES))
