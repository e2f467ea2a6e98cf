"""Tries to catch a leak in every kind of split, for everybody who divides rows: early stopping, calibration, stacking,
search and cross-validation. Each is watched at what it is really given: the rows that teach, the rows that judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from training.data import DataAccess
from training.data.table import Dataset
from training.errors import FitError
from training.events import SilentObserver
from training.models import FitContext, FitData, calibration, members
from training.models.hybrid_pair import PairFit
from training.models.hybrid_params import NamedMember
from training.models.sklearn_model import SklearnFamily
from training.models.xgboost_model import XGBoostFamily
from training.mts_scoring.sklearn_predictor import SklearnPredictor
from training.mts_scoring.xgboost_predictor import XGBoostPredictor
from training.pipeline.cross_validation import TIME_OVER, cross_validate, summary
from training.pipeline.fit import fit_model
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, inspect, partition
from training.pipeline.structure import structure_of
from training.pipeline.workplace import Stopwatch, Workplace
from training.registry import Registry
from training.result import FoldRow
from training.spec import TrainSpec
from training.tuning.held_out import fold_data

ROWS, GAP_DAYS = 480, 5
DAY_S = 86_400.0
LINEAR = {"family": "sklearn", "estimator": "logistic_regression"}
TREES = {"family": "xgboost", "params": {"n_estimators": 5, "early_stopping_rounds": 2}}
STACK = {"family": "hybrid", "strategy": "stack", "members": [LINEAR, TREES], "params": {"n_folds": 3}}
AUTO = {
    "family": "auto",
    "params": {
        "n_folds": 2, "max_repeats": 0,
        "exclude": ["xgboost_shallow", "xgboost_encoded", "tabm", "extra_trees", "mlp", "xgboost"],
    },
}  # fmt: skip
Positions = npt.NDArray[np.int64]
Pair = tuple[Positions, Positions]

KINDS: dict[str, dict[str, Any]] = {
    "random": {"split": {"strategy": "random"}},
    "stratified": {"split": {"strategy": "stratified"}},
    "group": {"data": {"group_column": "customer"}},
    "time with a gap": {"data": {"time_column": "when"}, "split": {"gap": GAP_DAYS * DAY_S}},
    "rolling windows": {"data": {"time_column": "when"}, "split": {"gap": GAP_DAYS * DAY_S, "window": "rolling"}},
    "group within time": {"data": {"time_column": "when", "group_column": "customer"}},
    "predefined": {"split": {"strategy": "predefined", "column": "part"}},
}
HAVE_FOLDS = [kind for kind in KINDS if kind != "predefined"]


def table() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    x = generator.normal(size=ROWS)
    return pd.DataFrame({
        "row": np.arange(ROWS) + 0.5,
        "x": x,
        "customer": generator.integers(0, ROWS // 4, ROWS),
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 160, ROWS), unit="D"),
        "part": generator.choice(["train", "validation", "test"], ROWS, p=[0.6, 0.2, 0.2]),
        "y": np.where(x + generator.normal(size=ROWS) > 0.5, "yes", "no"),
    })  # fmt: skip


@dataclass
class World:
    """A checked job, and who taught and judged whom in it."""

    job: Job
    checked: Checked
    kind: str

    @property
    def frame(self) -> pd.DataFrame:
        return self.checked.dataset.frame

    def check(self, pairs: list[Pair], *, named: bool = True) -> None:
        """No pair breaks a rule of the split. `named`: a fold's held rows are those that the caller named."""
        assert pairs
        split, frame = self.checked.split, self.frame
        for learnt, judged in pairs:
            assert len(judged) > 0
            assert not set(learnt) & set(judged)
            assert not (set(learnt) | set(judged)) & set(split.test)
            if not len(learnt):
                continue
            if "group" in self.kind:
                assert not set(frame["customer"].iloc[learnt]) & set(frame["customer"].iloc[judged])
            if self.kind in {"time with a gap", "rolling windows", "group within time"}:
                days = 0 if self.kind == "group within time" else GAP_DAYS
                between = frame["when"].iloc[judged].min() - frame["when"].iloc[learnt].max()
                assert between >= pd.Timedelta(days=max(days, 1))
            if self.kind == "predefined" and named:
                assert set(frame["part"].iloc[learnt]) == {"train"}
                assert set(frame["part"].iloc[judged]) == {"validation"}


def world_of(kind: str, model: dict[str, Any], tmp_path: Path, **split: Any) -> World:
    parts = KINDS[kind]
    spec = TrainSpec.model_validate({
        "name": "leaks", "model": model,
        "data": {"source": {"type": "inline", "rows": [{"y": 1}]}, "target": "y", "include": ["row", "x"],
                 **parts.get("data", {})},
        "split": {"seed": 3, **parts.get("split", {}), **split},
    })  # fmt: skip
    workplace = Workplace(DataAccess((), tmp_path), Registry("sqlite:///unused.db", str(tmp_path)))
    job = Job("job_1", spec, workplace, None, Stopwatch(SilentObserver()), None)  # type: ignore[arg-type]
    checked = inspect(Dataset(table(), "0" * 64, "inline"), spec, look_closer=False)
    return World(job, checked, kind)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Pair]:
    """Train and validation rows of every fit of one model."""
    seen: list[Pair] = []
    for family in (SklearnFamily, XGBoostFamily):
        real = family.fit

        def fit(self: Any, spec: Any, data: FitData, context: Any, real: Any = real) -> Any:
            judged = np.zeros(0) if data.validation is None else data.validation.frame["row"].to_numpy()
            seen.append((data.train.frame["row"].to_numpy().astype(np.int64), judged.astype(np.int64)))
            return real(self, spec, data, context)

        monkeypatch.setattr(family, "fit", fit)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping(kind: str, watched: list[Pair], tmp_path: Path) -> None:
    world = world_of(kind, TREES, tmp_path)
    fit_model(world.job, world.checked, partition(world.checked, world.job.spec))
    world.check(watched)


@dataclass
class Fitted:
    """One fit of a fold: what taught it, what could stop it early, and the rows that it scored afterwards."""

    learnt: Positions
    steering: Positions
    scored: Positions


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Fitted]:
    """Every fit of one model of several, with its out-of-fold scores."""
    seen: list[Fitted] = []
    nothing = np.zeros(0, np.int64)
    for family in (SklearnFamily, XGBoostFamily):
        real = family.fit

        def fit(self: Any, spec: Any, data: FitData, context: Any, real: Any = real) -> Any:
            sides = [None if rows is None else rows.frame["row"] for rows in (data.train, data.validation)]
            learnt, steering = (nothing if side is None else side.to_numpy().astype(np.int64) for side in sides)
            seen.append(Fitted(learnt, steering, nothing))
            return real(self, spec, data, context)

        monkeypatch.setattr(family, "fit", fit)
    for kind in (SklearnPredictor, XGBoostPredictor):
        honest = kind.predict

        def predict(self: Any, frame: pd.DataFrame, honest: Any = honest) -> Any:
            if not len(seen[-1].scored):
                seen[-1].scored = frame["row"].to_numpy().astype(np.int64)
            return honest(self, frame)

        monkeypatch.setattr(kind, "predict", predict)
    return seen


def check_fits(world: World, fits: list[Fitted]) -> None:
    """No row that is scored out of fold has taught the fit or stopped it early, nor has one that is tied to it."""
    assert all(len(one.scored) for one in fits)
    steered = [one for one in fits if len(one.steering)]
    assert steered
    world.check([(one.learnt, one.scored) for one in fits])
    world.check([(one.learnt, one.steering) for one in steered])
    world.check([(one.steering, one.scored) for one in steered], named=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_and_what_its_combination_and_calibration_learn(
    kind: str, fitted: list[Fitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(kind, STACK, tmp_path)
    split = world.checked.split
    pool = np.concatenate([split.train, split.validation])
    combined: list[Pair] = []
    corrected: list[Pair] = []
    held: list[Positions] = []

    def held_positions(folds: Any, real: Any = members.held_positions) -> Any:
        held.append(pool[real(folds)])
        return real(folds)

    def taking_turns(structure: Any, parts: Any, rows: int, seed: int, real: Any = members.taking_turns) -> Any:
        found = real(structure, parts, rows, seed)
        combined.extend((held[-1][learnt], held[-1][judged]) for learnt, judged in found)
        return found

    def crossed(structure: Any, rows: int, parts: int, seed: int, real: Any = calibration.crossed) -> Any:
        found = real(structure, rows, parts, seed)
        corrected.extend((held[-1][learnt], held[-1][judged]) for learnt, judged in found)
        return found

    monkeypatch.setattr(members, "held_positions", held_positions)
    monkeypatch.setattr(members, "taking_turns", taking_turns)
    monkeypatch.setattr(calibration, "crossed", crossed)
    fit_model(world.job, world.checked, partition(world.checked, world.job.spec))
    # a linear model learns from all rows of its fold
    assert {len(one.steering) > 0 for one in fitted} == {True, False}
    check_fits(world, fitted)
    assert combined
    # both learn from scores of held-out rows alone, and are judged on others of them
    world.check(combined, named=False)
    world.check(corrected, named=False)


@pytest.mark.parametrize("kind", ["group within time"])
def test_the_folds_of_auto(kind: str, fitted: list[Fitted], tmp_path: Path) -> None:
    world = world_of(kind, AUTO, tmp_path)
    fit_model(world.job, world.checked, partition(world.checked, world.job.spec))
    check_fits(world, fitted)


@pytest.mark.parametrize("kind", HAVE_FOLDS)
def test_the_trees_whose_scores_a_net_learns_from(kind: str, fitted: list[Fitted], tmp_path: Path) -> None:
    world = world_of(kind, TREES, tmp_path)
    parts = partition(world.checked, world.job.spec)
    data = FitData(world.checked.schema, parts.train, None, structure_of(world.checked, world.job.spec))
    trees = NamedMember("trees", world.job.spec.model, XGBoostFamily())  # type: ignore[arg-type]
    folded, _, folds = PairFit.begin([trees, trees], data, FitContext()).trees_over_folds(trees, 3)
    assert len(folded.predictors()) == sum(fold.serves for fold in folds)
    check_fits(world, fitted)


@pytest.mark.parametrize("kind", KINDS)
def test_calibration_of_one_model(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(kind, LINEAR, tmp_path)
    validation = world.checked.split.validation
    corrected: list[Pair] = []

    def crossed(structure: Any, rows: int, parts: int, seed: int, real: Any = calibration.crossed) -> Any:
        found = real(structure, rows, parts, seed)
        corrected.extend((validation[learnt], validation[judged]) for learnt, judged in found)
        return found

    monkeypatch.setattr(calibration, "crossed", crossed)
    fit_model(world.job, world.checked, partition(world.checked, world.job.spec))
    world.check(corrected, named=False)


@pytest.mark.parametrize("kind", HAVE_FOLDS)
def test_the_folds_of_a_search(kind: str, tmp_path: Path) -> None:
    world = world_of(kind, LINEAR, tmp_path)
    parts = partition(world.checked, world.job.spec)
    structure = structure_of(world.checked, world.job.spec)
    found = fold_data(FitData(world.checked.schema, parts.train, parts.validation, structure), 4, seed=0)
    pairs = [
        tuple(side.frame["row"].to_numpy().astype(np.int64) for side in (one.train, one.validation)) for one in found
    ]
    world.check(pairs)  # type: ignore[arg-type]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Positions]]:
    """The rows that each model of a cross-validation was measured on."""
    from training.mts_scoring.model import ScoringModel

    seen: list[Positions] = []
    real = ScoringModel.scores

    def scores(self: ScoringModel, frame: pd.DataFrame) -> Any:
        seen.append(frame["row"].to_numpy().astype(np.int64))
        return real(self, frame)

    monkeypatch.setattr(ScoringModel, "scores", scores)
    return seen


@pytest.mark.parametrize("kind", HAVE_FOLDS)
def test_repeated_and_nested_folds(kind: str, watched: list[Pair], measured: list[Positions], tmp_path: Path) -> None:
    over_time = "when" in KINDS[kind].get("data", {}).values()
    repeats = 1 if over_time else 2
    world = world_of(kind, TREES, tmp_path, folds=3, repeats=repeats)
    found = cross_validate(world.job, world.checked)
    assert [(row.repeat, row.fold, row.error) for row in found.rows] == [
        (repeat, fold, None) for repeat in range(1, repeats + 1) for fold in (1, 2, 3)
    ]
    assert 0.5 < found.metrics["roc_auc"].value < 1
    world.check(watched)  # nested: each fold has validation rows of its own
    for (learnt, steering), judged in zip(watched, measured, strict=True):
        world.check([(learnt, judged), (steering, judged)])
    if not over_time:
        everyone = sorted(np.concatenate([world.checked.split.train, world.checked.split.validation]))
        for repeat in (measured[:3], measured[3:]):
            assert sorted(np.concatenate(repeat)) == everyone
        assert not np.array_equal(np.sort(measured[0]), np.sort(measured[3]))
    if kind == "rolling windows":
        spans = [world.frame["when"].iloc[np.concatenate(pair)].nunique() for pair in watched]
        assert max(spans) - min(spans) <= GAP_DAYS  # those of the gap inside, which are left out
        assert world.frame["when"].iloc[watched[-1][0]].min() > world.frame["when"].min()


def test_the_interval_over_folds_is_wider_than_that_of_independent_ones() -> None:
    values = [0.70, 0.74, 0.78, 0.74]
    rows = [
        FoldRow(repeat=1, fold=number, train_rows=60, validation_rows=15, test_rows=25, metrics={"roc_auc": value})
        for number, value in enumerate(values, start=1)
    ]
    found = summary(rows, confidence=0.95)["roc_auc"]
    # by hand: s² = 0.0032 / 3, times 1/4 + 25/75, and t of 3 degrees of freedom is 3.1824
    assert found.value == pytest.approx(0.74)
    assert found.high - found.value == pytest.approx(3.182446 * (0.0032 / 3 * (0.25 + 1 / 3)) ** 0.5)
    assert summary(rows[:1], confidence=0.95)["roc_auc"].low is None
    assert summary([], confidence=0.95) == {}


def test_a_fold_that_fails_is_told_of_and_what_was_measured_is_not_fitted_again(
    tmp_path: Path, watched: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of("random", LINEAR, tmp_path, folds=3)
    workplace = replace(world.job.workplace, checkpoints=tmp_path / "checkpoints")
    job = replace(world.job, workplace=workplace)
    honest = SklearnFamily.fit
    monkeypatch.setattr(SklearnFamily, "fit", lambda *given: honest(*given) if len(watched) < 1 else _diverged())
    found = cross_validate(job, world.checked)
    assert [row.error for row in found.rows] == [None, "it diverged", "it diverged"]
    assert found.metrics["roc_auc"].low is None

    monkeypatch.setattr(SklearnFamily, "fit", honest)
    again = cross_validate(job, world.checked)
    assert [row.error for row in again.rows] == [None] * 3
    assert again.rows[0] == found.rows[0]
    assert len(watched) == 3
    over = cross_validate(replace(world.job, deadline=0.0), world.checked)
    assert {row.error for row in over.rows} == {TIME_OVER}


def _diverged() -> NoReturn:
    raise FitError("it diverged")
