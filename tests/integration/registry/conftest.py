"""A real MLflow store on SQLite, and small real models."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.data.table import Column, Dataset, Rows, Split, TableSchema
from training.evaluation import evaluate
from training.models import FitContext, FitData
from training.models.families import family_of
from training.mts_scoring.model import Feature, ScoringModel
from training.registry import Registry, row_hashes
from training.registry.new_version import NewVersion
from training.registry.tracking import RunTracker
from training.result import GateVerdict, VersionReference
from training.spec import TrainSpec, parse_spec

KINDS = {"income": "numeric", "age": "numeric", "children": "numeric", "region": "categorical", "member": "boolean"}
TARGET, CLASSES = "default", ("no", "yes")


def people(rows: int, seed: int = 0) -> pd.DataFrame:
    """Raw rows as a reader gives them: gaps, whole numbers, text, truth values."""
    generator = np.random.default_rng(seed)
    income = generator.normal(30_000, 8_000, rows)
    region = generator.choice(["north", "south", "öst"], rows)
    odds = (30_000 - income) / 6_000 + (region == "south") + generator.normal(0, 0.7, rows)
    frame = pd.DataFrame({
        "income": np.where(generator.random(rows) < 0.1, np.nan, income),
        "age": generator.uniform(18, 90, rows),
        "children": generator.integers(0, 5, rows),
        "region": region,
        "member": generator.random(rows) < 0.5,
        TARGET: np.where(odds > 0.5, "yes", "no"),
    })  # fmt: skip
    frame["region"] = frame["region"].where(generator.random(rows) > 0.05, None)
    return frame


def rows_of(frame: pd.DataFrame) -> Rows:
    frame = frame.reset_index(drop=True)
    return Rows(frame[list(KINDS)], (frame[TARGET] == "yes").to_numpy().astype(np.int64), None)


@dataclass(frozen=True)
class Trained:
    """A model with the rows that it was fitted on and the rows on which it is measured."""

    model: ScoringModel
    data: Dataset
    schema: TableSchema
    split: Split

    @property
    def test_frame(self) -> pd.DataFrame:
        return self.data.frame.iloc[self.split.test].reset_index(drop=True)

    @property
    def test(self) -> Rows:
        return rows_of(self.test_frame)

    @property
    def hashes(self) -> np.ndarray:
        fitted_on = np.concatenate([self.split.train, self.split.validation])
        return row_hashes(self.data.frame.iloc[fitted_on], [*KINDS, TARGET])


def train(frame: pd.DataFrame, *, seed: int = 0, noise: float = 0.0) -> Trained:
    """Fits a small booster; `noise` is the share of training labels that are drawn anew, which makes it worse."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(frame))
    first, second = int(0.5 * len(frame)), int(0.6 * len(frame))
    split = Split("random", "no time, no groups", *(np.sort(part) for part in np.split(order, [first, second])))
    columns = [Column(name, kind, "feature", 0, 3) for name, kind in KINDS.items()]
    schema = TableSchema((*columns, Column(TARGET, "categorical", "target", 0, 2)), TARGET, "binary", CLASSES, ())
    fitted_on = rows_of(frame.iloc[split.train])
    drawn = generator.random(len(fitted_on)) < noise
    target = np.where(drawn, generator.integers(0, 2, len(fitted_on)), fitted_on.target)
    spec = parse_spec(TrainSpec, spec_of("any") | {"model": {"params": {"n_estimators": 30, "max_depth": 3}}})
    data = FitData(schema, Rows(fitted_on.frame, target, None), None)
    fitted = family_of(spec.model).fit(spec.model, data, FitContext(seed=seed))
    features = tuple(Feature(name, kind) for name, kind in KINDS.items())
    model = ScoringModel(fitted.predictor, "binary", CLASSES, features, TARGET, 0.5)
    return Trained(model, Dataset(frame, f"{seed:064x}", "file:people.csv"), schema, split)


def spec_of(name: str, **parts: object) -> dict[str, object]:
    source = {"type": "file", "uri": "people.csv"}
    return {"name": name, "data": {"source": source, "target": TARGET}, **parts}


@pytest.fixture(scope="session")
def trained() -> Trained:
    return train(people(600))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables; copying it is faster than making them, which takes seconds."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    Registry(f"sqlite:///{path}", "unused").connect()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture
def fresh_registry(template: Path, tmp_path: Path) -> Registry:
    """An empty registry of the test's own."""
    shutil.copy(template, tmp_path / "mlflow.db")
    return Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts"))


@pytest.fixture(scope="session")
def registry(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One for all tests that take a name of their own."""
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(template, folder / "mlflow.db")
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))


_numbers = count(1)


@pytest.fixture
def name() -> str:
    """A model name that no other test uses."""
    return f"people-{next(_numbers)}"


Register = Callable[..., VersionReference]


@pytest.fixture
def register(registry: Registry, name: str) -> Register:
    """Registers a trained model as a job does."""

    def do(trained: Trained, job_id: str | None = None, verdict: GateVerdict | None = None) -> VersionReference:
        spec = parse_spec(TrainSpec, spec_of(name))
        with registry.start_run(name, job_id or f"job_{next(_numbers)}", spec) as tracker:
            tracker.log_data(trained.data, trained.schema, trained.split)
            return register_in(registry, tracker, trained, verdict)

    return do


def register_in(
    registry: Registry, tracker: RunTracker, trained: Trained, verdict: GateVerdict | None = None
) -> VersionReference:
    metrics = evaluate("binary", trained.test.target, trained.model.scores(trained.test.frame), bootstrap_samples=50)
    made = NewVersion(
        trained.model, sample=trained.test.frame, metrics=metrics, lineage={"split": "random"},
        row_hashes=trained.hashes, verdict=verdict,
    )  # fmt: skip
    return registry.register(tracker, made)
