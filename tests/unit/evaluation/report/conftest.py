"""Small real models with what a report needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.data import DataAccess, load
from training.evaluation import evaluate, evaluate_slices
from training.evaluation.report import Report, ReportInputs, build_report
from training.models import FitContext, FitData
from training.models.calibration import with_held_out
from training.models.families import family_of
from training.mts_scoring.model import ScoringModel
from training.pipeline.assess import scoring_model
from training.pipeline.prepare import Checked, Parts, check, partition
from training.spec import TrainSpec, parse_spec


@dataclass(frozen=True)
class Fitted:
    spec: TrainSpec
    checked: Checked
    parts: Parts
    model: ScoringModel

    def report(self) -> Report:
        test, wanted = self.parts.test, self.spec.evaluation
        scores = self.model.scores(test.frame)
        task = self.model.task
        return build_report(
            ReportInputs(
                spec=self.spec, model=self.model, train=self.parts.train.frame, test=test,
                test_frame=self.parts.test_frame, scores=scores,
                metrics=evaluate(task, test.target, scores, bootstrap_samples=50),
                slices=evaluate_slices(self.parts.test_frame, wanted.slices, task, test.target, scores,
                                       bootstrap_samples=50),
                leaderboard=[], gate=None, data=self.checked.summary(), created_at=datetime(2026, 1, 2, tzinfo=UTC),
                facts={"job_id": "job_1", "run_id": "run_1", "code_version": "1", "data_uri": "rows"},
            )
        )  # fmt: skip


def fit(frame: pd.DataFrame, model: dict[str, object], **parts: object) -> Fitted:
    rows = [{name: None if pd.isna(value) else value for name, value in row.items()} for row in
            frame.to_dict(orient="records")]  # fmt: skip
    raw = {"name": "toy", "data": {"source": {"type": "inline", "rows": rows}, "target": "y"}, "model": model, **parts}
    spec = parse_spec(TrainSpec, raw)
    checked = check(load(spec.data.source, DataAccess(roots=(), base=Path())), spec)
    sides = partition(checked, spec)
    data = FitData(checked.schema, sides.train, sides.validation)
    fitted = with_held_out(family_of(spec.model).fit(spec.model, data, FitContext(seed=0)), data)
    return Fitted(spec, checked, sides, scoring_model(spec, checked, fitted, None))


def table(rows: int = 600, seed: int = 0, classes: tuple[str, ...] | None = ("no", "yes")) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "income": np.where(generator.random(rows) < 0.1, np.nan, generator.normal(30, 8, rows)),
        "age": generator.uniform(18, 90, rows),
        "region": generator.choice(["north", "south", "<b>east</b>"], rows),
        "noise": generator.normal(0, 1, rows),
    })  # fmt: skip
    signal = (30 - frame["income"].fillna(30)) / 6 + 2.0 * (frame["region"] == "south") + generator.normal(0, 0.7, rows)
    if classes is None:
        return frame.assign(y=signal)
    cuts = np.quantile(signal, np.linspace(0, 1, len(classes) + 1)[1:-1])
    return frame.assign(y=np.array(classes)[np.searchsorted(cuts, signal)])


MODELS: dict[str, dict[str, object]] = {
    "xgboost": {"family": "xgboost", "params": {"n_estimators": 20, "max_depth": 3}},
    "random_forest": {
        "family": "sklearn",
        "estimator": "random_forest",
        "params": {"n_estimators": 10, "max_depth": 5},
    },
    "hist": {"family": "sklearn", "estimator": "hist_gradient_boosting", "params": {"max_iter": 10}},
    "linear": {"family": "sklearn", "estimator": "logistic_regression"},
}


@pytest.fixture(scope="session")
def binary() -> dict[str, Fitted]:
    parts = {"evaluation": {"slices": ["region"], "fairness": ["region"], "bootstrap_samples": 50}}
    return {name: fit(table(), model, **parts) for name, model in MODELS.items()}
