"""Explanations add up to the score, find what matters, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.explain import explain
from training.evaluation.explain_sampled import explain_sampled
from training.evaluation.importance import permutation_importance
from training.evaluation.report import render_page

from .conftest import MODELS, Fitted, fit, table


@pytest.mark.parametrize("name", MODELS)
def test_contributions_add_up_to_the_score(binary: dict[str, Fitted], name: str) -> None:
    fitted = binary[name]
    frame = fitted.parts.test.frame
    found = explain(fitted.model, frame)
    total = found.base + found.phi.sum(axis=1)
    score = fitted.model.scores(frame)[: len(total), 1]
    expected = np.log(score / (1 - score)) if found.unit == "log-odds" else score
    np.testing.assert_allclose(total[:, 0], expected, atol=1e-4)
    assert found.columns == tuple(feature.name for feature in fitted.model.features)


@pytest.mark.parametrize("name", MODELS)
def test_what_matters_comes_first(binary: dict[str, Fitted], name: str) -> None:
    report = binary[name].report()
    assert report.explanation is not None
    ranked = [feature.column for feature in report.explanation.features]
    assert set(ranked[:2]) == {"income", "region"}
    drops = {feature.column: feature.permutation for feature in report.explanation.features}
    assert min(drops["income"], drops["region"]) > 0.03 > abs(drops["noise"])


def test_the_sampled_explainer_agrees_with_treeshap_on_the_ranking(binary: dict[str, Fitted]) -> None:
    fitted = binary["random_forest"]
    frame = fitted.parts.test.frame
    exact = np.abs(explain(fitted.model, frame).phi).mean(axis=(0, 2))
    sampled = np.abs(explain_sampled(fitted.model, frame, frame, seed=1).phi).mean(axis=(0, 2))
    assert np.corrcoef(exact, sampled)[0, 1] > 0.95


def test_a_column_that_the_model_ignores_gets_nothing() -> None:
    fitted = fit(table(), {"family": "xgboost", "params": {"n_estimators": 3, "max_depth": 1}})
    frame = fitted.parts.test.frame
    found = explain_sampled(fitted.model, frame, frame, seed=0)
    assert np.abs(found.phi[:, found.columns.index("noise")]).max() < 1e-9


@pytest.mark.parametrize("name", ["xgboost", "linear"])
def test_three_classes_have_contributions_each(name: str) -> None:
    fitted = fit(table(classes=("a", "b", "c")), MODELS[name])
    found = explain(fitted.model, fitted.parts.test.frame)
    assert found.phi.shape[1:] == (4, 3)
    assert fitted.report().explanation is not None


def test_a_regression_is_explained_in_its_own_unit() -> None:
    fitted = fit(table(classes=None), MODELS["xgboost"])
    found = explain(fitted.model, fitted.parts.test.frame)
    predicted = fitted.model.scores(fitted.parts.test.frame)
    np.testing.assert_allclose((found.base + found.phi.sum(axis=1))[:, 0], predicted, atol=1e-4)


def test_the_same_seed_gives_the_same_explanation(binary: dict[str, Fitted]) -> None:
    for fitted in (binary["linear"], binary["xgboost"]):
        assert fitted.report().explanation == fitted.report().explanation


def test_permutation_importance_has_no_value_where_the_metric_has_none(binary: dict[str, Fitted]) -> None:
    fitted = binary["linear"]
    one_class = np.ones(len(fitted.parts.test), np.int64)
    found = permutation_importance(fitted.model, fitted.parts.test.frame, one_class, "roc_auc", columns=["income"])
    assert found == {}


def test_a_large_booster_explains_fewer_rows_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fit(table(), {"family": "xgboost", "params": {"n_estimators": 20, "early_stopping_rounds": 0}})
    monkeypatch.setattr("training.evaluation.explain_trees.MAX_SPLIT_ROWS", 1)
    monkeypatch.setattr("training.evaluation.explain_trees.MIN_BOOSTER_ROWS", 40)
    monkeypatch.setattr("training.evaluation.importance.FAST_US", 1)
    monkeypatch.setattr("training.evaluation.importance.MIN_ROWS", 60)
    report = fitted.report()
    assert report.explanation is not None
    assert (report.explanation.rows, report.explanation.permutation_rows) == (40, 60)
    page = render_page(report)
    assert "a random sample of 40 test rows; the shuffles on 60" in page
