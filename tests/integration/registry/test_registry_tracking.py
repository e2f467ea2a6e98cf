"""One run for each attempt, with all that is needed to understand it, and none left open."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from mlflow import MlflowClient

from training.errors import DataError, JobCancelledError
from training.events import Observer
from training.registry import Registry
from training.registry.tracking import RunTracker
from training.result import Interval, SliceRow
from training.spec import TrainSpec, parse_spec

from .conftest import Trained, spec_of


def start(registry: Registry, name: str, job_id: str = "job_1", **parts: object) -> RunTracker:
    return registry.start_run(name, job_id, parse_spec(TrainSpec, spec_of(name, **parts)))


def run_of(registry: Registry, run_id: str):
    return MlflowClient(registry.tracking_uri, registry.tracking_uri).get_run(run_id)


def artifact(registry: Registry, run_id: str, file_name: str) -> str:
    return (Path(run_of(registry, run_id).info.artifact_uri) / file_name).read_text()


def test_a_run_tells_the_whole_story(registry: Registry, name: str, trained: Trained) -> None:
    with start(registry, name, tags={"team": "risk"}, model={"params": {"max_depth": 3}}) as tracker:
        observer: Observer = tracker
        observer.phase("load")
        tracker.log_data(trained.data, trained.schema, trained.split)
        observer.phase("fit")
        for step in range(2500):
            observer.metrics({"validation/log_loss": 1 / (step + 1)}, step)
        observer.log("a line for people")
        tracker.log_fit({"max_depth": 3, "missing": float("nan")}, {"best_iteration": 7.0})
        slices = [SliceRow(column="region", value="öst", rows=9, metrics={})]
        tracker.log_result({"roc_auc": Interval(value=0.8, low=0.7, high=0.9), "f1": Interval(value=None)}, slices)
    run = run_of(registry, tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.params.max_depth"] == "3"
    assert run.data.params["resolved.max_depth"] == "3"
    assert run.data.metrics.items() >= {
        "roc_auc": 0.8, "roc_auc_low": 0.7, "roc_auc_high": 0.9, "best_iteration": 7.0,
    }.items()  # fmt: skip
    assert "f1" not in run.data.metrics
    history = MlflowClient(registry.tracking_uri).get_metric_history(tracker.run_id, "validation/log_loss")
    assert sorted(point.step for point in history) == list(range(2500))
    assert run.data.tags.items() >= {
        "job_id": "job_1", "attempt": "1", "data_sha256": trained.data.sha256, "tag.team": "risk", "task": "binary",
    }.items()  # fmt: skip
    used = run.inputs.dataset_inputs[0].dataset
    assert trained.data.sha256.startswith(used.digest)
    assert json.loads(used.profile)["sha256"] == trained.data.sha256
    assert "a line for people" in artifact(registry, tracker.run_id, "log.txt")
    assert json.loads(artifact(registry, tracker.run_id, "spec.json"))["split"]["test_size"] == 0.2
    assert json.loads(artifact(registry, tracker.run_id, "environment.json"))["xgboost"].startswith("3.")
    assert json.loads(artifact(registry, tracker.run_id, "slices.json"))[0]["value"] == "öst"


@pytest.mark.parametrize(
    ("error", "status"), [(JobCancelledError("stop"), "KILLED"), (DataError("bad"), "FAILED"), (OSError("x"), "FAILED")]
)
def test_a_run_ends_as_its_job_does(registry: Registry, name: str, error: Exception, status: str) -> None:
    with pytest.raises(type(error)), start(registry, name) as tracker:
        raise error
    assert run_of(registry, tracker.run_id).info.status == status
    assert type(error).__name__ in artifact(registry, tracker.run_id, "log.txt")


def test_rows_in_the_spec_do_not_become_parameters(registry: Registry, name: str) -> None:
    rows = [{"a": index, "default": index % 2} for index in range(500)]
    spec = {"name": name, "data": {"source": {"type": "inline", "rows": rows}, "target": "default"}}
    with registry.start_run(name, "job_1", parse_spec(TrainSpec, spec)) as tracker:
        pass
    assert run_of(registry, tracker.run_id).data.params["data.source.rows"] == "<500 entries>"


def test_a_figure_that_cannot_be_recorded_is_no_reason_to_fail(registry: Registry, name: str, caplog) -> None:
    with start(registry, name) as tracker:
        tracker.log_params({"split.test_size": 0.9})
        tracker.metrics({"loss": 0.5}, 1)
    run = run_of(registry, tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["loss"] == 0.5
    assert run.data.params["split.test_size"] == "0.2"
    assert any("recording the run failed" in record.message for record in caplog.records)


def test_an_experiment_deleted_by_hand_comes_back(fresh_registry: Registry) -> None:
    with start(fresh_registry, "again"):
        pass
    client = MlflowClient(fresh_registry.tracking_uri)
    client.delete_experiment(client.get_experiment_by_name("again").experiment_id)
    with start(fresh_registry, "again", "job_2") as tracker:
        pass
    assert run_of(fresh_registry, tracker.run_id).info.status == "FINISHED"


def test_a_server_that_hangs_does_not_hold_up_the_fit(registry: Registry, name: str) -> None:
    """The server is one that takes requests and never answers: MLflow's own cannot be made to hang."""
    arrived, release = Event(), Event()

    class Hanging(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.set()
            release.wait()
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            """Keeps the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hanging)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        tracker = start(registry, name)
        working, tracker.client = tracker.client, MlflowClient(f"http://127.0.0.1:{server.server_port}")
        with tracker:
            tracker.log_params({"slow": 1})
            assert arrived.wait(30)
            for step in range(10_000):
                tracker.metrics({"loss": 0.5}, step)
            tracker.phase("evaluate")
            # All of the fit is over while the server still holds the first request.
            assert not release.is_set()
            tracker.client = working
            release.set()
        assert run_of(registry, tracker.run_id).info.status == "FINISHED"
    finally:
        release.set()
        server.shutdown()
        server.server_close()
        thread.join()
