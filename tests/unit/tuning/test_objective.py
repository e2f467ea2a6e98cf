"""Which way is better."""

from __future__ import annotations

import pytest

from training.evaluation import metrics_of
from training.tuning.objective import is_maximized, is_rising


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_curve_over_folds_has_the_direction_of_its_objective(task: str) -> None:
    names = metrics_of(task)
    assert {name: is_rising(name) for name in names} == {name: is_maximized(name) for name in names}


@pytest.mark.parametrize("name", ["log_loss", "rmse", "quantile", "predict_ms", "fit_s"])
def test_less_of_a_loss_or_of_a_cost_is_better(name: str) -> None:
    assert not is_rising(f"validation/{name}")
    assert not is_rising(name)


def test_a_running_fit_may_be_measured_by_more_is_better() -> None:
    assert is_rising("validation/roc_auc")
