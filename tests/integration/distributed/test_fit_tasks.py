"""The parts of a fit as Ray tasks: as good as in one process, and one that dies does not end the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from dispatcher_cluster import local_cluster
from scripted_family import Dying, Endless

from training.data.table import Column, Rows, TableSchema
from training.distributed.fit_tasks import RayFits, ray_fits
from training.errors import JobCancelledError
from training.events import SilentObserver
from training.models import FitContext, FitData
from training.models.base import ModelFamily
from training.models.families import family_of
from training.models.parallel import FitOutcome, FitRunner, FitTask, SerialFits
from training.models.pool import Pool, folds_of
from training.models.xgboost_model import XGBoostFamily
from training.spec import HybridSpec, SklearnSpec, TorchSpec, XGBoostSpec

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

TREES = XGBoostSpec(params={"n_estimators": 10})


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with local_cluster():
        yield


def data_of(rows: int = 200) -> FitData:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "c": pd.Categorical(rng.choice(["a", "b"], rows))})
    target = (frame["x"].to_numpy() + rng.normal(size=rows) > 0).astype(np.int64)
    columns = (Column("x", "numeric", "feature", 0, rows), Column("c", "categorical", "feature", 0, 2))
    return FitData(TableSchema(columns, "t", "binary", ("no", "yes"), ()), Rows(frame, target, None), None)


def tasks_of(pool: Pool, *families: ModelFamily) -> list[FitTask]:
    folds = folds_of(pool, len(families), seed=0)
    return [FitTask(family, TREES, fold, seed=1) for family, fold in zip(families, folds, strict=True)]


def outcomes(runner: FitRunner, pool: Pool, tasks: list[FitTask]) -> dict[int, FitOutcome]:
    return dict(runner.run(pool, tasks, SilentObserver(), None))


def test_gives_what_one_process_gives_to_the_last_digit() -> None:
    pool = Pool.of(data_of())
    tasks = tasks_of(pool, *(XGBoostFamily() for _ in range(3)))
    here, there = outcomes(SerialFits(), pool, tasks), outcomes(RayFits(2), pool, tasks)
    assert sorted(there) == [0, 1, 2]
    for number, outcome in here.items():
        np.testing.assert_array_equal(outcome.scores, there[number].scores)


def test_a_whole_stack_with_a_net_comes_back_from_the_tasks() -> None:
    net = TorchSpec(architecture="tabm", params={"k": 2, "d_block": 8, "max_epochs": 2})
    members = [TREES, net, SklearnSpec(estimator="logistic_regression")]
    spec, data = HybridSpec(members=members, params={"n_folds": 2}), data_of()
    there = family_of(spec).fit(spec, data, FitContext(runner=RayFits(2)))
    here = family_of(spec).fit(spec, data, FitContext())
    np.testing.assert_allclose(there.predictor.predict(data.train.frame), here.predictor.predict(data.train.frame))


def test_a_fit_whose_process_is_killed_has_an_error_and_the_others_go_on() -> None:
    pool = Pool.of(data_of())
    found = outcomes(RayFits(2), pool, tasks_of(pool, XGBoostFamily(), Dying(), XGBoostFamily()))
    assert found[0].scores is not None
    assert found[2].scores is not None
    assert "its process died" in str(found[1].error)


class CancelsOnce(SilentObserver):
    """Asks to stop as soon as the file is there."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        if self._file.exists():
            raise JobCancelledError("cancelled")


def test_a_cancelled_job_leaves_no_fit_running(tmp_path: Path) -> None:
    pool, file = Pool.of(data_of()), tmp_path / "pid"
    with pytest.raises(JobCancelledError):
        list(RayFits(2).run(pool, tasks_of(pool, Endless(file), XGBoostFamily()), CancelsOnce(file), None))
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(file.read_text())).wait(timeout=60)


def test_one_cpu_needs_no_tasks() -> None:
    assert ray_fits(1) is None
    assert ray_fits(2) == RayFits(2)
