"""What every engine promises: the model that one process would give, and nothing left behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dispatcher_cluster import local_cluster
from spread_fits import Watcher, all_is_free, fit_data, spread_fit

from training.distributed import ENGINES
from training.errors import JobCancelledError, SpecError
from training.models import FitContext
from training.models.families import family_of
from training.spec import ModelSpec, TorchSpec, XGBoostSpec
from training.spec.resources import FAMILIES_OF

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

# without samples there is one right answer
BOOSTING = XGBoostSpec(
    params={"n_estimators": 60, "learning_rate": 0.2, "subsample": 1.0, "colsample_bytree": 1.0,
            "early_stopping_rounds": 5},
)  # fmt: skip
NETWORK = TorchSpec(architecture="mlp", params={"hidden_sizes": [16], "max_epochs": 12, "n_seeds": 1, "patience": 6})
CASES = [
    ("xgboost_ray", BOOSTING, "binary"), ("xgboost_ray", BOOSTING, "multiclass"),
    ("xgboost_ray", BOOSTING, "regression"), ("ray_train", BOOSTING, "binary"), ("ray_train", BOOSTING, "multiclass"),
    ("ray_train", BOOSTING, "regression"), ("ray_train", NETWORK, "binary"),
]  # fmt: skip


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    with local_cluster():
        yield


def test_every_engine_of_the_spec_is_there_and_tested() -> None:
    promised = {(engine, family) for engine, families in FAMILIES_OF.items() for family in families}
    assert set(ENGINES) == promised | {("local", "")}
    assert {(engine, spec.family) for engine, spec, _ in CASES} == promised


@pytest.mark.parametrize(("engine", "spec", "task"), CASES, ids=[f"{e}-{s.family}-{t}" for e, s, t in CASES])
def test_workers_give_the_model_of_one_process(
    engine: str, spec: ModelSpec, task: str, ray_cluster: None, tmp_path: Path
) -> None:
    """Weights, categories, gaps, early stopping, in each task."""
    data, heard = fit_data(task), Watcher()
    alone = family_of(spec).fit(spec, data, FitContext(seed=7))
    spread = spread_fit(engine, spec, data, tmp_path, heard)
    assert type(spread.predictor) is type(alone.predictor)
    assert spread.params == alone.params
    assert heard.steps == sorted(heard.steps)
    assert heard.steps
    assert data.validation is not None
    ours, theirs = (model.predictor.predict(data.validation.frame) for model in (spread, alone))
    if spec.family == "xgboost":
        # the same trees; sums over rows differ in the order of their terms
        assert spread.facts["rounds"] == alone.facts["rounds"]
        assert spread.facts["best_iteration"] == alone.facts["best_iteration"]
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    else:
        # other batches: as good, not equal
        score = "best_validation_log_loss"
        assert spread.facts[score] == pytest.approx(alone.facts[score], abs=0.1)
    assert list(tmp_path.glob("shards/*")) == []
    assert all_is_free(within_s=20)


def test_rows_that_exceed_the_memory_stay_on_disk_and_give_the_same_trees(
    ray_cluster: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = XGBoostSpec(params={**BOOSTING.params, "n_estimators": 5})
    data = fit_data("binary", 400_000, weighted=False)
    with caplog.at_level(logging.INFO, logger="training"):
        on_disk = spread_fit("xgboost_ray", spec, data, tmp_path, memory_mb=1)
    assert "they stay on disk" in caplog.text
    alone = family_of(spec).fit(spec, data, FitContext(seed=7))
    assert data.validation is not None
    ours, theirs = (model.predictor.predict(data.validation.frame) for model in (on_disk, alone))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_two_numbers_of_workers_start_with_what_there_is(ray_cluster: None, tmp_path: Path) -> None:
    fitted = spread_fit("ray_train", NETWORK, fit_data("binary"), tmp_path, Watcher(), num_workers=(1, 2))
    assert fitted.facts["epochs"] > 0
    assert all_is_free(within_s=20)


def test_more_workers_than_rows_are_refused_before_anything_starts(tmp_path: Path) -> None:
    for engine, family in ENGINES:
        if engine != "local":
            with pytest.raises(SpecError) as refused:
                spread_fit(
                    engine, BOOSTING if family == "xgboost" else NETWORK, fit_data("binary", 30), tmp_path,
                    num_workers=(64, 64),
                )  # fmt: skip
            assert refused.value.problems[0].field == "resources.num_workers"
            assert "64 workers share 30 training rows" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("engine", "spec"), [("xgboost_ray", BOOSTING), ("ray_train", NETWORK)])
def test_a_cancelled_fit_frees_all_workers(engine: str, spec: ModelSpec, ray_cluster: None, tmp_path: Path) -> None:
    def cancel() -> None:
        raise JobCancelledError("the job was asked to stop")

    with pytest.raises(JobCancelledError):
        spread_fit(engine, spec, fit_data("binary"), tmp_path, Watcher(at_step=1, act=cancel))
    assert all_is_free(within_s=20)
