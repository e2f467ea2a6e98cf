"""What every query strategy promises, over every strategy, task and kind of model."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.active_learning.committee import members_of
from training.active_learning.query import features_of
from training.active_learning.spec import PoolSpec, StrategyName
from training.active_learning.strategies import STRATEGIES, strategy_of
from training.active_learning.strategies.base import BatchStrategy, Strategy
from training.active_learning.strategies.margin import explained
from training.active_learning.view import View
from training.data import infer_schema, make_rows
from training.errors import SpecError
from training.models import FitContext, FitData
from training.models.families import family_of
from training.mts_scoring.model import Feature, ScoringModel
from training.spec import DataSpec, ModelSpec, SklearnSpec, SplitSpec, TorchSpec, XGBoostSpec

CLASSES = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "regression": []}
FOREST = SklearnSpec(estimator="random_forest", params={"n_estimators": 20})
CASES = [
    pytest.param(strategy, task, id=f"{name}-{task}")
    for name, strategy in STRATEGIES.items()
    for task in strategy.tasks
]
every_case = pytest.mark.parametrize(("strategy", "task"), CASES)
LABELLED = 60


def table(rows: int, task: str, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "x": rng.normal(size=rows), "z": rng.normal(size=rows), "k": rng.choice(["p", "q", "r"], rows),
        "gap": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
    })  # fmt: skip
    score = frame["x"] + 0.5 * frame["z"] + (frame["k"] == "p")
    if task == "regression":
        frame["y"] = score + rng.normal(size=rows) * 0.1
    else:
        frame["y"] = pd.cut(score, len(CLASSES[task]), labels=CLASSES[task]).astype(str)
    return frame


def trained(labelled: pd.DataFrame, task: str, spec: ModelSpec) -> ScoringModel:
    data = DataSpec.model_validate(
        {"source": {"type": "inline", "rows": [{}]}, "target": "y", "task": task}
    )  # fmt: skip
    schema = infer_schema(labelled, data, SplitSpec())
    rows = make_rows(labelled, schema, data, None)
    fitted = family_of(spec).fit(spec, FitData(schema, rows, rows), FitContext())
    features = tuple(Feature(column.name, column.kind) for column in schema.features)
    return ScoringModel(fitted.predictor, task, schema.classes, features, "y", None)


@pytest.fixture(scope="module")
def models() -> dict[str, ScoringModel]:
    return {task: trained(table(LABELLED, task, 1), task, FOREST) for task in CLASSES}


def view_of(candidates: pd.DataFrame, task: str, model: ScoringModel | None, **changes: Any) -> View:
    labelled = table(LABELLED, task, 1)
    plan = PoolSpec.model_validate(
        {"name": "n", "data": {"source": {"type": "inline", "rows": [{}]}, "target": "y", "task": task,
                               "classes": CLASSES[task], "include": ["x", "z", "k", "gap"]}}
    )  # fmt: skip
    frame = candidates.drop(columns=["y"])
    hashes = pd.util.hash_pandas_object(frame, index=False)
    targets = labelled["y"].to_numpy() if task == "regression" else pd.factorize(labelled["y"])[0]
    duplicates = pd.factorize(hashes)[0].astype(np.int64)
    view = View(
        frame=frame, features=features_of(frame, plan), duplicates=duplicates, groups=None, costs=None,
        model=model, labelled=labelled.drop(columns=["y"]), targets=targets.astype(np.float64),
        max_per_group=2, seed=5,
    )  # fmt: skip
    return dataclasses.replace(view, **changes)


def test_every_name_of_the_spec_is_there_and_in_its_own_file() -> None:
    names = set(StrategyName.__args__) - {"auto"}
    assert set(STRATEGIES) == names
    modules = {type(strategy).__module__ for strategy in STRATEGIES.values()}
    assert len(modules) == len(STRATEGIES)
    assert strategy_of("auto", "binary").name == "margin"
    assert strategy_of("auto", "regression").name == "expected_model_change"


@every_case
def test_picks_are_distinct_in_range_and_as_many_as_asked(
    strategy: Strategy, task: str, models: dict[str, ScoringModel]
) -> None:
    view = view_of(table(300, task), task, models[task])
    found = strategy.pick(view, 17)
    assert len(set(found.rows.tolist())) == len(found.rows) == len(found.scores) == 17
    assert found.rows.min() >= 0
    assert found.rows.max() < 300
    assert np.isfinite(found.scores).all()


@every_case
def test_the_same_view_gives_the_same_picks(strategy: Strategy, task: str, models: dict[str, ScoringModel]) -> None:
    first, second = (strategy.pick(view_of(table(200, task), task, models[task]), 9) for _ in range(2))
    assert first.rows.tolist() == second.rows.tolist()
    assert first.scores.tolist() == second.scores.tolist()


@every_case
def test_a_batch_is_not_many_copies_of_one_row(strategy: Strategy, task: str, models: dict[str, ScoringModel]) -> None:
    copies = table(40, task).iloc[np.repeat(np.arange(40), 25)].reset_index(drop=True)
    view = view_of(copies, task, models[task])
    found = strategy.pick(view, 20)
    assert len(set(view.duplicates[found.rows].tolist())) == 20


@every_case
def test_few_rows_of_one_group(strategy: Strategy, task: str, models: dict[str, ScoringModel]) -> None:
    groups = np.repeat(np.arange(30), 10).astype(np.int64)
    view = view_of(table(300, task), task, models[task], groups=groups)
    found = strategy.pick(view, 20)
    assert len(found.rows) == 20
    assert np.bincount(groups[found.rows]).max() <= 2


@every_case
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_a_pool_smaller_than_a_batch_gives_what_there_is(
    strategy: Strategy, task: str, models: dict[str, ScoringModel], rows: int
) -> None:
    view = view_of(table(30, task), task, models[task]).at(np.arange(rows))
    assert sorted(strategy.pick(view, 5).rows.tolist()) == list(range(rows))


@every_case
def test_a_strategy_without_need_of_a_model_works_without(
    strategy: Strategy, task: str, models: dict[str, ScoringModel]
) -> None:
    if strategy.needs_model:
        strategy.check(task, FOREST)
    else:
        assert len(strategy.pick(view_of(table(100, task), task, None), 6).rows) == 6


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_what_does_not_fit_is_refused(strategy: Strategy) -> None:
    for task in set(CLASSES) - set(strategy.tasks):
        with pytest.raises(SpecError, match=f"is not for {task}"):
            strategy.check(task, FOREST)
    if strategy.needs_members:
        with pytest.raises(SpecError, match="needs a model with members"):
            strategy.check(strategy.tasks[0], XGBoostSpec())


@pytest.mark.parametrize("name", ["margin", "entropy", "least_confidence", "query_by_committee", "bald"])
def test_uncertain_rows_come_before_certain_ones(name: str, models: dict[str, ScoringModel]) -> None:
    view = view_of(table(400, "binary"), "binary", models["binary"])
    picked = STRATEGIES[name].pick(view, 20).rows
    distance = np.abs(view.scores[:, 1] - 0.5)
    assert distance[picked].mean() < 0.5 * distance.mean()


def test_costs_count(models: dict[str, ScoringModel]) -> None:
    costs = np.where(np.arange(400) % 2 == 0, 1.0, 100.0)
    view = view_of(table(400, "binary"), "binary", models["binary"], costs=costs)
    assert (STRATEGIES["cost_aware"].pick(view, 20).rows % 2 == 0).mean() > 0.9


def test_a_large_pool_is_sampled_where_distances_would_not_end(models: dict[str, ScoringModel]) -> None:
    for strategy in STRATEGIES.values():
        assert (strategy.max_candidates is not None) == isinstance(strategy, BatchStrategy)
    view = view_of(table(9_000, "binary"), "binary", models["binary"])
    assert len(STRATEGIES["core_set"].pick(view, 5).rows) == 5


@pytest.mark.parametrize(
    "spec",
    [FOREST, TorchSpec(architecture="tabm", params={"k": 4, "d_block": 16, "max_epochs": 2}),
     TorchSpec(architecture="mlp", params={"hidden_sizes": [8], "max_epochs": 2, "n_seeds": 2})],
    ids=["forest", "tabm", "two seeds"],
)  # fmt: skip
@pytest.mark.parametrize("task", CLASSES)
def test_the_mean_of_the_members_is_the_model(spec: ModelSpec, task: str) -> None:
    model = trained(table(LABELLED, task, 1), task, spec)
    rows = table(50, task, 2)
    members = members_of(model, rows)
    assert len(members) >= 2
    np.testing.assert_allclose(members.mean(axis=0), model.scores(rows), atol=1e-5)
    assert members.std(axis=0).max() > 0


def test_a_view_is_not_changed(models: dict[str, ScoringModel]) -> None:
    view = view_of(table(80, "binary"), "binary", models["binary"])
    before = view.frame.copy()
    for strategy in STRATEGIES.values():
        if "binary" in strategy.tasks:
            strategy.pick(dataclasses.replace(view), 5)
    pd.testing.assert_frame_equal(view.frame, before)


def test_a_batch_by_margin_is_as_narrow_as_the_model_explains_and_drawn_from_everywhere_else(
    models: dict[str, ScoringModel],
) -> None:
    view = view_of(table(2_000, "binary"), "binary", models["binary"])
    narrowest = np.sort(STRATEGIES["margin"].scores(view))[::-1]  # type: ignore[attr-defined]  # gives scores
    count = round(40 * explained(view))
    assert 10 < count < 40
    found = STRATEGIES["margin"].pick(view, 40)
    assert (found.scores >= narrowest[5 * count]).sum() >= count, "spread over the best ones"
    assert found.scores.min() < narrowest[5 * count]
    certain = np.isclose(view.scores.max(axis=1), 1.0)
    assert not certain[found.rows].any()

    guessing = table(LABELLED, "binary", 1)
    guessing["y"] = np.random.default_rng(0).permutation(guessing["y"])
    lost = dataclasses.replace(view, model=trained(guessing, "binary", FOREST))
    scores = STRATEGIES["margin"].scores(lost)  # type: ignore[attr-defined]  # gives scores
    wide = STRATEGIES["margin"].pick(lost, 40)
    assert explained(lost) < 0.5 * explained(view)
    assert wide.scores.min() < np.sort(scores)[::-1][1_000], (
        "half of the pool is less sure than the surest of the batch"
    )


@pytest.mark.parametrize(
    ("scores", "share"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], 1.0),
        ([[0.5, 0.5], [0.5, 0.5]], 0.0),
        ([[0.9, 0.1], [0.9, 0.1]], 0.0),
        ([[0.8, 0.2], [0.2, 0.8]], 0.6),
        ([[1.0, 0.0], [1.0, 0.0]], 0.0),
        ([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], 0.7),
    ],
)
def test_what_a_model_explains_is_the_share_of_errors_that_it_avoids(scores: list[list[float]], share: float) -> None:
    class Scored(SimpleNamespace):
        def __len__(self) -> int:
            return len(scores)

        def at(self, rows: Any) -> Any:
            return SimpleNamespace(scores=np.array(scores)[rows])

    assert explained(Scored(seed=0)) == pytest.approx(share)
