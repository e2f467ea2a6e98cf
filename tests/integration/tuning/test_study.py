"""Searches through the whole pipeline on a real cluster of two CPUs, with a real registry."""

# the values of a trial, not of a frame

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from dispatcher_cluster import local_cluster
from mlflow import MlflowClient

from training.data import DataAccess
from training.errors import FitError, JobCancelledError, SpecError
from training.events import SilentObserver
from training.pipeline import Workplace, plan, reproduce, run
from training.registry import Registry
from training.result import TrainResult, TrialRow
from training.spec import ReproduceSpec, TrainSpec, parse_spec

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
GERMAN = {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"}
LINEAR = {"family": "sklearn", "estimator": "logistic_regression"}
QUICK = {"n_estimators": 60, "early_stopping_rounds": 10}
EVALUATION = {"bootstrap_samples": 20}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("workplace")
    with local_cluster():
        yield Workplace(
            DataAccess(roots=(str(ROOT / "examples" / "data"),), base=ROOT),
            Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")),
            checkpoints=folder / "checkpoints",
        )


class Watcher(SilentObserver):
    """Hears the best value after each trial, and may act then."""

    def __init__(self, act: Callable[[int], None] | None = None) -> None:
        self.best: list[float] = []
        self.fractions: list[float] = []
        self.lines: list[str] = []
        self._act = act
        self._ended = 0

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        if "tune/trials" in values:
            self.best.append(next(value for name, value in values.items() if name.startswith("tune/best_")))
            self._ended = int(values["tune/trials"])

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        self.fractions.append(fraction)
        if self._act is not None and self._ended:
            self._act(self._ended)

    def log(self, message: str) -> None:
        self.lines.append(message)


def spec_of(name: str, tune: dict[str, Any], **changes: Any) -> TrainSpec:
    return parse_spec(TrainSpec, {"name": name, "data": GERMAN, "evaluation": EVALUATION, "tune": tune, **changes})


def search(
    workplace: Workplace, name: str, tune: dict[str, Any], watcher: Watcher | None = None, **changes: Any
) -> TrainResult:
    """Runs a search as the job of its own name; one trial at a time, so that only one process has to start."""
    tune = {"max_concurrent_trials": 1, **tune}
    return run(spec_of(name, tune, **changes), workplace, watcher or Watcher(), job_id=f"job_{name}")


def trial_processes() -> list[psutil.Process]:
    """Those that live; one that has ended and that Ray has not yet taken leave of has no command line."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "TrialActor" in " ".join(process.cmdline()[:1]):
                found.append(process)
    return found


def test_a_number_of_trials_makes_a_study_a_refitted_model_and_a_run_for_each_trial(workplace: Workplace) -> None:
    watcher = Watcher()
    model = {"family": "xgboost", "params": QUICK}
    result = search(workplace, "plain", {"num_trials": 10, "max_concurrent_trials": 2}, watcher, model=model)
    study = result.study

    assert study is not None
    assert sum(study.trials.values()) == 10
    assert (study.default.number, study.default.params, study.default.status) == (0, {}, "COMPLETE")
    assert study.best.values["roc_auc"] >= study.default.values["roc_auc"]
    assert watcher.best == sorted(watcher.best)
    assert watcher.best[-1] == study.best.values["roc_auc"]
    # what is measured on the validation rows is the model before the refit, which has not seen them
    assert result.leaderboard[0].validation["roc_auc"] == pytest.approx(study.best.values["roc_auc"], abs=0.01)
    assert 0.6 < result.metrics["roc_auc"].value < 0.95
    assert result.threshold is not None

    rows = workplace.registry.trials("plain", "job_plain")
    assert [row.number for row in rows] == list(range(10))
    assert {row.status for row in rows} <= {"COMPLETE", "STOPPED"}
    assert rows[study.best.number] == study.best
    stopped = [row for row in rows if row.status == "STOPPED"]
    assert all(row.curve and not row.values for row in stopped)
    # a study leaves no process and holds no CPU
    assert ray.available_resources()["CPU"] == 2.0


def test_one_trial_at_a_time_gives_the_same_study_again(workplace: Workplace) -> None:
    tune = {"num_trials": 14, "warm_start": False}
    first, second = (search(workplace, f"twice-{n}", tune, model={"params": QUICK}) for n in (1, 2))

    assert first.study.best.params == second.study.best.params
    assert first.metrics == second.metrics
    trials = [workplace.registry.trials(f"twice-{n}", f"job_twice-{n}") for n in (1, 2)]
    assert [(row.params, row.status, row.curve) for row in trials[0]] == [
        (row.params, row.status, row.curve) for row in trials[1]
    ]


def test_a_failing_trial_is_recorded_and_the_study_goes_on(workplace: Workplace) -> None:
    space = {
        "solver": {"type": "choice", "values": ["lbfgs", "liblinear"]},
        "l1_ratio": {"type": "choice", "values": [0.0, 1.0]},
    }
    result = search(workplace, "failing", {"searcher": "grid", "num_trials": 4, "search_space": space}, model=LINEAR)

    assert result.study.trials == {"COMPLETE": 4, "FAILED": 1}  # the default configuration comes before the grid
    [failed] = [row for row in workplace.registry.trials("failing", "job_failing") if row.status == "FAILED"]
    assert failed.params == {"solver": "lbfgs", "l1_ratio": 1.0}
    assert "lbfgs" in str(failed.error)


def test_a_study_fails_when_all_its_trials_do(workplace: Workplace) -> None:
    model = LINEAR | {"params": {"solver": "lbfgs", "l1_ratio": 1.0}}
    with pytest.raises(FitError, match=r"all 3 trials .* lbfgs"):
        search(workplace, "hopeless", {"num_trials": 3}, model=model)

    assert workplace.registry.find_by_job("hopeless", "job_hopeless") is None


def test_a_trial_whose_process_is_killed_is_run_again(workplace: Workplace) -> None:
    killed: list[int] = []

    def kill(ended: int) -> None:
        if not killed:
            for process in trial_processes():
                killed.append(process.pid)
                process.kill()

    result = search(workplace, "killed", {"num_trials": 8}, Watcher(kill), model={"params": QUICK})

    assert killed
    assert sum(result.study.trials.values()) == 8
    assert "FAILED" not in result.study.trials


def forget(workplace: Workplace, name: str, no_end: int, nothing: int) -> None:
    """As if the process had died before it came to tell of the end of one trial, and of another anything."""
    client = MlflowClient(workplace.registry.tracking_uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    for trial in client.search_runs([experiment.experiment_id], "tags.trial != ''"):
        number = int(trial.data.tags["trial"])
        if number == no_end:
            row = TrialRow.model_validate_json(trial.data.tags["trial_row"])
            client.set_tag(
                trial.info.run_id, "trial_row", row.model_copy(update={"status": "RUNNING"}).model_dump_json()
            )
        elif number == nothing:
            client.delete_run(trial.info.run_id)


def test_a_study_goes_on_after_its_process_died(workplace: Workplace) -> None:
    class Died(BaseException):
        pass

    def die(ended: int) -> None:
        if ended >= 3:
            raise Died

    tune = {"num_trials": 8, "searcher": "random", "scheduler": "none"}
    with pytest.raises(Died):
        search(workplace, "resumed", tune, Watcher(die), model={"params": QUICK})
    before = {
        row.number: row for row in workplace.registry.trials("resumed", "job_resumed") if row.status == "COMPLETE"
    }
    forget(workplace, "resumed", 0, 1)
    result = search(workplace, "resumed", tune, model={"params": QUICK})

    listed = workplace.registry.trials("resumed", "job_resumed")
    assert [(row.number, row.status) for row in listed] == [(number, "COMPLETE") for number in range(8)]
    assert result.study.resumed_trials >= 3
    assert result.study.trials == {"COMPLETE": 8}
    assert all(listed[number] == row for number, row in before.items())


def test_a_cancelled_study_ends_its_processes(workplace: Workplace) -> None:
    def cancel(ended: int) -> None:
        raise JobCancelledError("enough")

    endless = {
        "n_estimators": {"type": "choice", "values": [1_000_000]},
        "early_stopping_rounds": {"type": "choice", "values": [0]},
    }
    tune = {"num_trials": 50, "search_space": endless, "scheduler": "none"}
    with pytest.raises(JobCancelledError):
        search(workplace, "cancelled", tune, Watcher(cancel), model={"params": QUICK})

    psutil.wait_procs(trial_processes(), timeout=30)
    assert trial_processes() == []


def test_a_search_over_the_whole_cluster_lets_another_job_run(workplace: Workplace) -> None:
    ran: list[int] = []

    @ray.remote(num_cpus=1)
    def other() -> int:
        return 7

    asked: list[Any] = []

    def act(ended: int) -> None:
        if not asked and ended >= 2:
            asked.append(other.remote())
        if asked and not ran:
            ran.extend(ray.get(ray.wait(asked, timeout=0)[0]))
        if ran:
            raise JobCancelledError("seen enough")

    tune = {"num_trials": 5000, "max_concurrent_trials": 2, "scheduler": "none", "searcher": "random"}
    with pytest.raises(JobCancelledError):
        search(workplace, "shared", tune, Watcher(act), model={"params": QUICK})

    assert ran == [7]


def test_several_objectives_and_a_bound(workplace: Workplace) -> None:
    tune = {
        "num_trials": 8,
        "objectives": ["roc_auc", "predict_ms"],
        "constraints": ["log_loss <= 0.6"],
        "searcher": "tpe",
    }
    result = search(workplace, "pareto", tune, model=LINEAR)
    study = result.study

    assert study.objectives == ["roc_auc", "predict_ms"]
    assert study.pareto
    assert study.best.number in {row.number for row in study.pareto}
    assert all(row.values["log_loss"] <= 0.6 for row in study.pareto)
    best = max(row.values["roc_auc"] for row in study.pareto)
    assert study.best.values["roc_auc"] == best


def test_folds_measure_trials_on_all_rows_but_the_hold_out(workplace: Workplace) -> None:
    result = search(workplace, "folds", {"num_trials": 4, "folds": 3, "scheduler": "none"}, model=LINEAR)

    assert result.study.best.curve_metric == "roc_auc"
    assert len(result.study.best.curve) == 3
    assert result.threshold is not None
    assert result.metrics["roc_auc"].value > 0.7


def test_each_fold_of_a_cross_validation_has_a_search_of_its_own(workplace: Workplace) -> None:
    result = search(workplace, "nested", {"num_trials": 2}, model=LINEAR, split={"folds": 2})

    found = result.cross_validation
    assert [row.error for row in found.rows] == [None, None]
    assert sum(row.test_rows for row in found.rows) == 800
    # what the folds tried is no trial of the job
    assert sum(result.study.trials.values()) == 2


def test_a_target_a_time_and_patience_end_a_search(workplace: Workplace) -> None:
    reached = search(workplace, "target", {"num_trials": 50, "stop": {"target": 0.5}}, model=LINEAR)
    timed = search(workplace, "timed", {"num_trials": 10_000, "time_budget_s": 1.0}, model=LINEAR)
    patient = search(workplace, "patient", {"num_trials": 200, "stop": {"patience": 12, "min_gain": 1.0}}, model=LINEAR)

    assert reached.study.ended_by.startswith("target")
    assert sum(reached.study.trials.values()) <= 2
    assert timed.study.ended_by == "time"
    assert patient.study.ended_by.startswith("patience")
    assert sum(patient.study.trials.values()) < 20


def test_a_study_begins_with_the_best_of_earlier_ones(workplace: Workplace) -> None:
    first = search(workplace, "earlier", {"num_trials": 6, "searcher": "random"}, model=LINEAR)
    again = run(spec_of("earlier", {"num_trials": 4}, model=LINEAR), workplace, Watcher(), job_id="job_earlier_again")
    other = search(workplace, "later", {"num_trials": 4, "warm_start_from": "job_earlier"}, model=LINEAR)
    fresh = search(workplace, "fresh", {"num_trials": 2, "warm_start": False}, model=LINEAR)

    rows = [row for row in workplace.registry.trials("earlier", "job_earlier") if row.params]
    best = max(rows, key=lambda row: row.values["roc_auc"])
    assert best.params in again.study.started_from
    assert best.params in other.study.started_from
    assert fresh.study.started_from == []
    # the same rows and the same configuration: a second study is never worse
    assert again.study.best.values["roc_auc"] >= first.study.best.values["roc_auc"]
    search(workplace, "default", {"num_trials": 1}, model=LINEAR)
    alike = search(workplace, "alike", {"num_trials": 1, "warm_start_from": "job_default"}, model=LINEAR)
    assert alike.study.started_from == []  # what was best there is the first trial anyway
    strange = spec_of("other", {"num_trials": 4, "warm_start_from": "job_earlier"}, model={"params": QUICK})
    unknown = spec_of("nothing", {"num_trials": 4, "warm_start_from": "job_unknown"}, model=LINEAR)
    for spec in (strange, unknown):
        with pytest.raises(SpecError) as caught:
            plan(spec, workplace)
        assert caught.value.problems[0].field == "tune.warm_start_from"


def test_a_search_is_reproduced_although_more_has_been_learnt_since(workplace: Workplace) -> None:
    tune = {"num_trials": 5, "max_concurrent_trials": 1}
    search(workplace, "learnt", tune, model=LINEAR)
    first = run(spec_of("learnt", tune, model=LINEAR), workplace, Watcher(), job_id="job_learnt_second")
    run(spec_of("learnt", tune, model=LINEAR), workplace, Watcher(), job_id="job_learnt_third")
    assert first.study.started_from
    spec = ReproduceSpec(
        name="learnt", job_id="job_learnt_second", train=spec_of("learnt", tune, model=LINEAR),
        metrics={name: found.value for name, found in first.metrics.items()}, started_from=first.study.started_from,
    )  # fmt: skip

    found = reproduce(spec, workplace, Watcher(), job_id="job_learnt_again")

    assert found.identical
    trials = [workplace.registry.trials("learnt", job) for job in ("job_learnt_second", "job_learnt_again")]
    assert [row.params for row in trials[0]] == [row.params for row in trials[1]]
