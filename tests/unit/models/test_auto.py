"""The family auto: within its time, always with a model, never with less than it knows."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from family_specs import ABSURD_NETWORK

from training.data.table import Column, Rows, TableSchema
from training.errors import DataError, SpecError
from training.models import FitContext, FitData, FittedModel, Structure, auto_search
from training.models.auto_model import AutoFamily
from training.models.auto_portfolio import Shape, names, portfolio
from training.models.families import FAMILIES, family_of
from training.models.pool import Pool
from training.models.torch_model import TorchFamily
from training.models.xgboost_model import XGBoostFamily
from training.mts_scoring.constant_predictor import ConstantPredictor
from training.spec import AutoSpec, ModelSpec, TorchSpec

SLOW = ["tabm", "mlp", "extra_trees", "hist_gradient_boosting"]


def data_of(rows: int = 300, task: str = "binary", structure: Structure | None = None) -> FitData:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows)})
    value = frame["x"].to_numpy() + 0.5 * rng.normal(size=rows)
    target = value if task == "regression" else (value > 0).astype(np.int64)
    columns = tuple(Column(name, "numeric", "feature", 0, rows) for name in frame)
    schema = TableSchema(columns, "t", task, () if task == "regression" else ("no", "yes"), ())
    cut = rows * 4 // 5
    train, rest = (
        Rows(frame[side].reset_index(drop=True), target[side], None) for side in (slice(cut), slice(cut, None))
    )
    return FitData(schema, train, rest, structure or Structure())


def fit(data: FitData, budget_s: float, family: AutoFamily | None = None, **params: object) -> FittedModel:
    spec = AutoSpec(time_budget_s=budget_s, params=params)
    return (family or family_of(spec)).fit(spec, data, FitContext(seed=1))


def test_the_portfolio_begins_with_a_linear_model_and_holds_every_family() -> None:
    for rows in (200, 500_000):
        pool = Pool.of(data_of(300))
        listed = portfolio(pool.schema, Shape(rows, 20, 40, 1))
        assert listed[0].name == "linear"
        assert {candidate.name for candidate in listed} == set(names()) - {"xgboost_encoded"}
        assert {candidate.spec.family for candidate in listed} == {"sklearn", "torch", "xgboost"}


def test_each_member_stands_on_the_leaderboard_and_the_rest_says_why_it_does_not() -> None:
    fitted = fit(data_of(), 30, n_folds=2, exclude=SLOW)
    assert fitted.held_out is not None
    found = {member.name: member for member in fitted.held_out.members}
    assert {"linear", "xgboost", "xgboost_shallow"} <= set(found)
    assert all(member.scores is not None for member in found.values())
    assert sum(member.share or 0 for member in found.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_budget_too_short_for_anything_gives_the_mean_with_a_warning(task: str) -> None:
    data = data_of(task=task)
    fitted = fit(data, 1e-3)
    assert isinstance(fitted.predictor, ConstantPredictor)
    both = np.concatenate([data.train.target, data.validation.target])  # type: ignore[union-attr]
    score = fitted.predictor.predict(data.train.frame[:1])
    assert (score[0] if task == "regression" else score[0, 1]) == pytest.approx(both.mean(), abs=0.01)
    assert any("no model could be fitted" in note for note in fitted.notes)
    assert fitted.held_out is not None
    assert all(member.error for member in fitted.held_out.members)


def test_a_deadline_of_the_job_is_obeyed_where_it_comes_first() -> None:
    spec = AutoSpec(time_budget_s=3600)
    fitted = family_of(spec).fit(spec, data_of(), FitContext(deadline=time.monotonic()))
    assert isinstance(fitted.predictor, ConstantPredictor)


def test_what_would_not_fit_in_memory_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_search, "free_memory_mb", lambda: 300.0)
    fitted = fit(data_of(), 30, n_folds=2, max_repeats=0, exclude=["mlp", "extra_trees", "hist_gradient_boosting"])
    assert fitted.held_out is not None
    found = {member.name: member for member in fitted.held_out.members}
    assert found["tabm"].error == "it would take about 400 MB of memory, 300 MB are free"
    assert found["xgboost"].scores is not None
    assert any("tabm" in note for note in fitted.notes)


class OutOfMemory(XGBoostFamily):
    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        raise MemoryError("cannot allocate")


def test_a_candidate_that_fails_does_not_end_the_search() -> None:
    fitted = fit(data_of(), 30, AutoFamily({**FAMILIES, "xgboost": OutOfMemory()}), n_folds=2, exclude=SLOW)
    assert fitted.held_out is not None
    found = {member.name: member for member in fitted.held_out.members}
    assert found["xgboost"].error == "cannot allocate"
    assert found["linear"].share == 1.0


def test_groups_and_times_are_obeyed_by_the_inner_splits() -> None:
    """Each group has a value of the target of its own, which its rows betray to each other."""
    groups = np.repeat(np.arange(60), 5)
    data = data_of(structure=Structure(groups=groups))
    target = np.random.default_rng(1).integers(0, 2, 60)[groups]
    schema, cut = data.schema, len(data.train)
    frame = pd.DataFrame({"x": groups.astype(float), "z": groups.astype(float)})
    parts = [Rows(frame[:cut], target[:cut], None), Rows(frame[cut:].reset_index(drop=True), target[cut:], None)]
    fitted = fit(
        FitData(schema, parts[0], parts[1], Structure(groups=groups)), 30, n_folds=4, max_repeats=0, exclude=SLOW
    )
    assert fitted.held_out is not None
    right = (fitted.held_out.scores[:, 1] > 0.5) == fitted.held_out.target
    assert right.mean() < 0.7

    timed = fit(data_of(structure=Structure(times=np.arange(300))), 30, n_folds=3, max_repeats=0, exclude=SLOW)
    assert timed.held_out is not None
    assert len(timed.held_out.target) == 220  # of 240 train rows the first third is only learnt from


def test_columns_that_no_model_can_read_are_an_error() -> None:
    data = data_of()
    wrong = Rows(data.train.frame.assign(x="text"), data.train.target, None)
    with pytest.raises(DataError, match="column 'x' should hold a number"):
        fit(FitData(data.schema, wrong, None), 30, n_folds=2, exclude=SLOW)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"exclude": ["tabmm"]}, r"model\.params\.exclude\.0: no such configuration; nearest: tabm"),
        ({"exclude": list(names())}, "nothing is left to try"),
        ({"n_folds": 1}, r"model\.params\.n_folds"),
    ],
)
def test_bad_parameters_are_named(params: dict[str, object], words: str) -> None:
    spec = AutoSpec(params=params)
    with pytest.raises(SpecError, match=words):
        family_of(spec).check(spec, "binary")


def test_what_the_job_needs_afterwards_is_kept_free_as_members_are_known() -> None:
    asked: list[tuple[int, float]] = []

    def rest_of_job_s(members: int, row_s: float) -> float:
        asked.append((members, row_s))
        return 0.0

    spec = AutoSpec(time_budget_s=30, params={"n_folds": 2, "max_repeats": 0, "exclude": SLOW})
    fitted = family_of(spec).fit(spec, data_of(), FitContext(seed=1, rest_of_job_s=rest_of_job_s))
    assert [members for members, _ in asked] == list(range(2, 2 + int(fitted.facts["members_complete"])))
    assert asked == sorted(asked)
    assert asked[0][1] > 0


class Absurd(TorchFamily):
    """Learns in steps so large that the loss is soon no number."""

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        return super().fit(TorchSpec(params=ABSURD_NETWORK), data, context)


@pytest.mark.slow
def test_a_network_whose_loss_is_no_number_is_told_of_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.models.torch_fitting.RETRY_FACTOR", 1.0)
    family = AutoFamily({**FAMILIES, "torch": Absurd()})
    fitted = fit(data_of(task="regression"), 120, family, n_folds=2, max_repeats=0, exclude=["tabm", *SLOW[2:]])
    assert fitted.held_out is not None
    found = {member.name: member for member in fitted.held_out.members}
    told = " ".join([found["mlp"].error, *fitted.notes])
    assert "the loss became NaN or infinite, with learning_rate 1 and again with 1" in told
    assert "lower model.params.learning_rate" in told
    assert found["xgboost"].scores is not None
    assert np.isfinite(fitted.predictor.predict(data_of().train.frame)).all()
