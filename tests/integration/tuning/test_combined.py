"""Searches whose trials are fitted by several processes each, or whose model combines several trials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from dispatcher_cluster import local_cluster
from ray.util.placement_group import placement_group_table

from training.data import DataAccess
from training.events import SilentObserver
from training.pipeline import Workplace, run
from training.registry import Registry
from training.result import TrainResult
from training.spec import TrainSpec, parse_spec
from training.tuning.cluster import slots_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
GERMAN = {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"}
TREES = {"family": "xgboost", "params": {"n_estimators": 40, "early_stopping_rounds": 10}}
LINEAR = {"family": "sklearn", "estimator": "logistic_regression"}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with local_cluster():
        yield


def workplace_in(folder: Path) -> Workplace:
    return Workplace(
        DataAccess(roots=(str(ROOT / "examples" / "data"),), base=ROOT),
        Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")),
        checkpoints=folder / "checkpoints",
    )


def spec_of(name: str, **changes: object) -> TrainSpec:
    return parse_spec(TrainSpec, {"name": name, "data": GERMAN, "evaluation": {"bootstrap_samples": 20}, **changes})


def test_the_best_trials_of_a_stack_are_blended(tmp_path: Path) -> None:
    workplace = workplace_in(tmp_path)
    stack = {"family": "hybrid", "members": [TREES, LINEAR]}
    tune = {"num_trials": 10, "max_concurrent_trials": 1}

    result = run(spec_of("blended", model=stack, tune=tune), workplace, SilentObserver(), job_id="job_blended")

    assert result.study is not None
    trials = workplace.registry.trials("blended", "job_blended")
    assert [row.params for row in trials[:2]] == [{"member": "xgboost"}, {"member": "logistic_regression"}]
    assert {row.params["member"] for row in trials} == {"xgboost", "logistic_regression"}
    assert sum(result.study.blend.values()) == pytest.approx(1.0, abs=0.01)
    assert set(result.study.blend) <= {row.number for row in trials}
    # each candidate beside the blend, and none of them measured by what it learnt from
    first, *candidates = result.leaderboard
    assert first.model == "hybrid: stack"
    assert len(candidates) == 10
    assert first.validation["log_loss"] < candidates[-1].validation["log_loss"]
    assert 0.6 < result.metrics["roc_auc"].value < 0.95
    assert result.data.train_rows + result.data.validation_rows + result.data.test_rows == 1000


def test_searches_with_several_workers_a_trial_do_not_starve_each_other(tmp_path: Path) -> None:
    """Each trial wants the whole cluster, as does the one of the other search."""
    root, specs = ROOT, {}
    for name in ("first", "second"):
        specs[name] = spec_of(name, model=TREES, resources={"num_workers": 2}, tune={"num_trials": 1})
    # of one search no more trials begin than the cluster can hold, whatever is asked for
    assert slots_for(specs["first"].resources, num_trials=5, limit=3).count == 1

    @ray.remote(num_cpus=0)
    def searched(name: str, spec: TrainSpec) -> TrainResult:
        folder = tmp_path / name
        folder.mkdir()
        workplace = Workplace(
            DataAccess(roots=(str(root / "examples" / "data"),), base=root),
            Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")),
            checkpoints=folder / "checkpoints",
        )
        return run(spec, workplace, SilentObserver(), job_id=f"job_{name}")

    results = ray.get([searched.remote(name, spec) for name, spec in specs.items()])

    for result in results:
        assert result.study.trials == {"COMPLETE": 1}
        assert result.metrics["roc_auc"].value > 0.6
    # nothing is left of their workers
    assert {entry["state"] for entry in placement_group_table().values()} <= {"REMOVED"}
    assert not list(tmp_path.glob("*/checkpoints/**/trial-*"))


class Dies(SilentObserver):
    """Ends the process of a search, as it were, when a third of it is done."""

    class Death(BaseException):
        pass

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        if 0.33 < fraction < 1.0:
            raise self.Death


def test_a_population_learns_in_stages_and_goes_on_after_its_process_died(tmp_path: Path) -> None:
    workplace = workplace_in(tmp_path)
    params = {"max_epochs": 8, "d_block": 16, "n_blocks": 1, "k": 4, "numeric_embeddings": "none"}
    tune = {"num_trials": 5, "scheduler": "pbt", "max_concurrent_trials": 1}
    spec = spec_of("population", model={"family": "torch", "params": params}, tune=tune)
    with pytest.raises(Dies.Death):
        run(spec, workplace, Dies(), job_id="job_population")

    result = run(spec, workplace, SilentObserver(), job_id="job_population")

    assert result.study is not None
    assert result.study.trials == {"COMPLETE": 5}
    assert result.study.resumed_trials == 5
    rows = workplace.registry.trials("population", "job_population")
    stages = {len(row.schedule) for row in rows}
    assert len(stages) == 1
    assert stages.pop() > 2
    # the default configuration stays what it is; another one went on from a copy with other values
    assert rows[0].schedule == [{}] * len(rows[0].schedule)
    assert any(len({str(config) for config in row.schedule}) > 1 for row in rows)
    assert all([step for step, _ in row.curve] == sorted({step for step, _ in row.curve}) for row in rows)
    assert result.study.best.values["roc_auc"] == max(row.values["roc_auc"] for row in rows)
    assert result.metrics["roc_auc"].value > 0.6
