"""The tracking server goes away while a model is fitted: nothing is lost, or the job says what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer, running_server

from training.data import DataAccess
from training.errors import UnavailableError
from training.events import SilentObserver
from training.pipeline import Workplace, patience, run
from training.registry import Registry
from training.spec import TrainSpec, parse_spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
SPEC = {
    "name": "german",
    "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
    "model": {"params": {"n_estimators": 400, "learning_rate": 0.01, "early_stopping_rounds": 0}},
    "evaluation": {"bootstrap_samples": 50},
}


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    # what an operator may set too: a call that finds no server gives up at once
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with running_server(tmp_path_factory.mktemp("tracking")) as started:
            yield started


@pytest.fixture
def server(one_server: MlflowServer) -> MlflowServer:
    """It is up."""
    one_server.until_up()
    return one_server


@pytest.fixture
def workplace(server: MlflowServer) -> Workplace:
    access = DataAccess(roots=(str(ROOT / "examples" / "data"),), base=ROOT)
    return Workplace(access, Registry(server.address, server.artifacts))


class Outage(SilentObserver):
    """Ends the server in the middle of the fit, and starts it when the job is heard to wait for it."""

    def __init__(self, server: MlflowServer, *, comes_back: bool) -> None:
        self._server, self._comes_back = server, comes_back
        self.steps: list[int] = []
        self.waits: list[str] = []
        self.lines: list[str] = []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        if step is None or "validation/log_loss" not in values:
            return
        if not self.steps:
            self._server.kill()
        self.steps.append(step)

    def waiting(self, message: str) -> None:
        if message and not self.waits and self._comes_back:
            self._server.start()
        if message:
            self.waits.append(message)

    def log(self, message: str) -> None:
        self.lines.append(message)


def test_a_server_that_comes_back_has_the_version_and_every_figure(server: MlflowServer, workplace: Workplace) -> None:
    heard = Outage(server, comes_back=True)
    result = run(parse_spec(TrainSpec, SPEC), workplace, heard, job_id="job_outage")
    assert set(heard.waits) == {"waiting for the registry, to register the model"}
    assert any("the model is kept" in line for line in heard.lines)

    assert workplace.registry.resolve("german").version == result.model.version
    client = MlflowClient(server.address)
    recorded = client.get_run(result.run_id)
    assert recorded.info.status == "FINISHED"
    history = client.get_metric_history(result.run_id, "validation/log_loss")
    assert sorted(point.step for point in history) == heard.steps
    assert recorded.data.metrics["roc_auc"] == result.metrics["roc_auc"].value
    assert recorded.data.params["resolved.n_estimators"] == "400"


def test_a_server_that_stays_away_is_named_and_nothing_is_registered(
    server: MlflowServer, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "AWAY_S", 2.0)
    monkeypatch.setattr("training.registry.tracking.CLOSE_TIMEOUT_S", 1.0)
    heard = Outage(server, comes_back=False)
    with pytest.raises(UnavailableError, match=f"127.0.0.1.*{server.port}") as away:
        run(parse_spec(TrainSpec, SPEC), workplace, heard, job_id="job_lost")
    assert heard.waits
    assert "MLflow store" in away.value.hint
    assert away.value.retryable
    server.start()
    server.until_up()
    assert workplace.registry.find_by_job("german", "job_lost") is None
