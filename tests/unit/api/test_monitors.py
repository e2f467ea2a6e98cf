"""Monitors over HTTP: from a trained model to a report, alarms and what is done about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ray_app.dispatcher.capacity import Demand
from ray_app.dispatcher.messages import Assignment, Place
from ray_app.dispatcher.monitor_runner import MonitorRunner
from ray_app.jobs.model import Job, JobError
from ray_app.services.assembly import workplace_of
from tests.unit.api.conftest import Api
from tests.unit.api.people import people
from tests.unit.api.pools import Pooled
from training.errors import TrainingError
from training.events import SilentObserver
from training.monitoring import bodies
from training.pipeline import run
from training.registry import Registry
from training.spec import TrainSpec, parse_spec

NDJSON = {"Content-Type": "application/x-ndjson"}
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)


@pytest.fixture(scope="session")
def model_name(registry_folder: Path) -> str:
    """A model of two versions in the registry of the session."""
    registry = Registry(f"sqlite:///{registry_folder / 'mlflow.db'}", str(registry_folder / "artifacts"))
    from training.data import DataAccess
    from training.pipeline import Workplace

    workplace = Workplace(DataAccess((), registry_folder), registry)
    for seed in (1, 2):
        spec = {
            "name": "watched",
            "data": {"source": {"type": "inline", "rows": people(1500, seed)}, "target": "y", "positive_class": "yes"},
            "split": {"test_size": 0.6},
            "model": {"family": "xgboost", "params": {"n_estimators": 40, "max_depth": 2}},
            "evaluation": {"bootstrap_samples": 20},
            "promotion": {"policy": "always"},
        }
        run(parse_spec(TrainSpec, spec), workplace, SilentObserver(), job_id=f"job_watched_{seed}")
    return "watched"


class Service:
    """The application, with a worker that does each job of a monitor at once."""

    def __init__(self, api: Api, model: str, name: str) -> None:
        self.api, self.model, self.name = api, model, name
        self.sent = 0
        self.truth: dict[str, str] = {}
        self.place = Place.of(api.settings)
        self.registry = workplace_of(api.settings).registry
        self.scorer = self.registry.load(self.registry.version(model, "2"))
        self.waiting: list[Job] = []
        self.busy = False
        api.jobs.on_submit = self.work

    @property
    def path(self) -> str:
        return f"/api/v1/monitors/{self.name}"

    def work(self, job: Job) -> None:
        """Does the job, and after it those that follow from it: the dispatcher too takes one after the other."""
        self.waiting.append(job)
        while self.waiting and not self.busy:
            self.busy = True
            try:
                self.do(self.waiting.pop(0))
            finally:
                self.busy = False

    def do(self, job: Job) -> None:
        if job.kind != "monitor":
            return
        store = self.api.store
        attempt = store.assign_attempt(job.id)
        store.started(job.id, attempt)
        runner = MonitorRunner(self.place, self.registry)
        try:
            result = runner.run(Assignment(job.id, attempt, job.kind, job.name, job.spec, Demand()), SilentObserver())
        except TrainingError as error:
            facts = error.details()
            store.fail(job.id, attempt, JobError(type=facts.type, message=facts.message))
            return
        done = store.succeed(job.id, attempt, result)
        assert done is not None
        self.api.app.state.services.monitors._monitors.desk.job_over(done)

    def create(self, **changes: Any) -> Any:
        spec = {"name": self.name, "model": {"name": self.model}, "window": {"rows": 500}, **changes}
        return self.api.post("/api/v1/monitors", json=spec)

    def predict(self, rows: int, *, seed: int = 7, shift: float = 0.0, labels: bool = False, **more: Any) -> Any:
        """Posts predictions of the champion, a minute apart, and their outcomes."""
        data = people(rows, seed, shift)
        scores = self.scorer.scores(pd.DataFrame(data))[:, 1]
        lines, outcomes = [], []
        for row, score in zip(data, scores, strict=True):
            at = START + timedelta(minutes=self.sent)
            actual = row.pop("y")
            lines.append(
                {"id": f"{self.name}-{self.sent}", "time": at.isoformat(), "features": row, "scores": float(score)}
                | more
            )
            outcomes.append({"id": f"{self.name}-{self.sent}", "actual": actual})
            self.truth[f"{self.name}-{self.sent}"] = actual
            self.sent += 1
        answer = self.post("predictions", lines)
        if labels:
            assert self.post("outcomes", outcomes).status_code == 200
        return answer

    def post(self, stream: str, rows: list[dict[str, Any]]) -> Any:
        body = "\n".join(json.dumps(row) for row in rows)
        return self.api.post(f"{self.path}/{stream}", content=body, headers=NDJSON)

    def actions(self) -> list[dict[str, Any]]:
        """What was done about alarms, newest first."""
        return list(self.api.get(f"{self.path}/alarms").json()["actions"])

    def report(self) -> dict[str, Any]:
        answer = self.api.get(f"{self.path}/report")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def service(api: Api, model_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Service:
    """Its monitor has a name of its own, for the streams of a session lie in one folder."""
    return Service(api, model_name, f"m-{abs(hash(request.node.name)) % 10**9}")


def test_from_predictions_to_a_report(service: Service) -> None:
    assert service.create(slices=["color"]).status_code == 201
    newest = (START + timedelta(minutes=999)).isoformat().replace("+00:00", "Z")
    assert service.predict(1000, labels=True).json() == {
        "accepted": 1000, "repeated": False, "duplicates": 0, "ignored": [], "newest": newest,
    }  # fmt: skip
    service.predict(500, seed=8, shift=1.5)

    report = service.report()

    assert report["model"] == {"name": "watched", "version": "2"}
    assert [window["rows"] for window in report["windows"]] == [500, 500, 500]
    assert [window["labelled"] for window in report["windows"]] == [500, 500, 0]
    quiet, drifted = report["windows"][0], report["windows"][2]
    assert quiet["findings"] == []
    assert quiet["realised"][0]["metric"] == quiet["estimated"][0]["metric"] == "roc_auc"
    assert abs(quiet["realised"][0]["value"] - quiet["estimated"][0]["value"]) < 0.06
    assert {finding["subject"] for finding in drifted["findings"]} >= {"income", "yes"}
    assert drifted["attribution"][0]["feature"] == "income"
    assert {row["value"] for row in quiet["slices"]} == {"red", "green"}
    assert "can't see concept drift" in report["notes"][0]


def test_the_inflow_is_counted_once(service: Service) -> None:
    service.create()
    for _ in range(2):
        service.sent = 0
        service.predict(60, labels=True)
    service.post("predictions", [{"id": "x"}])
    found = {
        (sample.name, sample.labels["stream"]): sample.value
        for family in text_string_to_metric_families(service.api.get("/metrics").text)
        for sample in family.samples
        if sample.labels.get("monitor") == service.name
    }
    assert found["mts_monitor_rows_total", "predictions"] == found["mts_monitor_rows_total", "outcomes"] == 60
    assert found["mts_monitor_lag_seconds_count", "predictions"] == 1
    assert 2 * 86_400 < found["mts_monitor_lag_seconds_sum", "predictions"] < 4 * 86_400


def test_the_report_is_a_page_too_and_is_made_once(service: Service) -> None:
    service.create()
    service.predict(500)
    page = service.api.get(f"{service.path}/report", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "<svg" in page.text
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    service.report()
    assert len(service.api.get(f"/api/v1/jobs?kind=monitor&name={service.name}").json()["items"]) == 1


def test_an_alarm_is_recorded_once_and_notified_once(service: Service) -> None:
    service.create()
    service.predict(500, shift=2.0, labels=True)
    service.report()
    service.predict(500, seed=9, shift=2.0)
    service.report()
    page = service.api.get(f"{service.path}/alarms").json()
    windows = {(alarm["window_start"], alarm["kind"], alarm["subject"]) for alarm in page["items"]}
    assert len(windows) == len(page["items"]) > 1
    assert [(action["action"], action["state"]) for action in page["actions"]] == [
        ("notify", "suppressed"), ("notify", "started"),
    ]  # fmt: skip
    assert "cooldown" in page["actions"][0]["reason"]
    tags = service.registry.version("watched", "2")
    assert tags.version == "2"


def test_an_alarm_rolls_back_where_the_policy_says_so(service: Service) -> None:
    service.create(policy={"actions": ["rollback"], "min_severity": "warning"})
    service.predict(500, shift=2.0)
    service.report()
    try:
        model = service.api.get("/api/v1/models/watched").json()
        assert model["aliases"]["champion"] == "1"
        [change] = model["versions"][1]["history"][-1:]
        assert change["by"] == f"monitor {service.name}"
        assert "alarm_" in change["reason"]
    finally:
        service.registry.rollback("watched", reason="for the other tests", by="test")


def test_a_critical_alarm_retrains_on_the_labelled_stream_through_the_gate(service: Service) -> None:
    service.create(policy={"actions": ["retrain"], "min_severity": "warning", "min_labelled_rows": 400})
    service.predict(1500, shift=2.0, labels=True)
    service.report()
    page = service.api.get(f"{service.path}/alarms").json()
    [action] = [action for action in page["actions"] if action["action"] == "retrain"]
    train = service.api.get(f"/api/v1/jobs/{action['train_job_id']}").json()
    assert train["tags"] == {"monitor": service.name, "alarm": action["alarm_id"]}
    assert train["spec"]["split"]["strategy"] == "predefined"
    plan = service.api.get(f"/api/v1/jobs/{action['job_id']}").json()["result"]
    assert plan["window"] in {"expanding", "rolling", "recency"}
    assert set(plan["scores"]) == {"expanding", "rolling", "recency"}
    spec = parse_spec(TrainSpec, train["spec"] | {"promotion": {"policy": "if_better", "min_gain": 1.0}})
    result = run(spec, workplace_with_stream(service), SilentObserver(), job_id=train["id"])
    assert result.data.test_rows == 300
    assert result.gate.champion == {"version": "2"}


def workplace_with_stream(service: Service) -> Any:
    from ray_app.dispatcher.pipeline_runner import _workplace

    return _workplace(service.place)


@pytest.fixture
def opened(service: Service) -> Pooled:
    """The pool that the alarm of a drifted stream has opened; its first rows are chosen."""
    service.create(policy={"actions": ["label"], "min_severity": "warning"})
    service.predict(500, shift=0.8)
    service.report()
    [action] = service.actions()
    assert action["pool_id"] is not None
    pool = Pooled(service.api, action["pool_id"])
    pool.run_jobs()
    return pool


def test_an_alarm_opens_a_pool_of_the_rows_whose_estimated_loss_has_grown(service: Service, opened: Pooled) -> None:
    [action] = service.actions()
    pool = opened.get()
    assert pool["name"] == "watched.relabelled"
    assert pool["spec"]["tags"] == {"monitor": service.name, "alarm": action["alarm_id"]}
    assert (pool["spec"]["data"]["classes"], pool["spec"]["data"]["positive_class"]) == (["no", "yes"], "yes")
    assert 50 <= pool["rows"] < 500
    chosen = opened.query(size=100)
    incomes = [item["cells"]["income"] for item in chosen]
    # the stream has moved to the right; it has the more rows, and is the less sure, the nearer to its new middle
    assert np.mean(incomes) > 0.3
    assert {item["id"].rpartition("-")[0] for item in chosen} == {service.name}
    service.report()
    assert len(service.api.get("/api/v1/active-learning/pools").json()["items"]) == 1


@pytest.mark.parametrize("concept", ["kept", "turned round"])
def test_labels_of_the_pool_tell_concept_drift_from_drift_of_the_inputs(
    service: Service, opened: Pooled, concept: str
) -> None:
    other = {"yes": "no", "no": "yes"}
    while opened.get()["model"] is None:
        items = opened.query(size=50)
        truth = {item["id"]: service.truth[item["id"]] for item in items}
        said = truth if concept == "kept" else {name: other[label] for name, label in truth.items()}
        assert opened.label([{"id": name, "label": label} for name, label in said.items()]).status_code == 200
        opened.run_jobs()
    [action] = service.actions()
    found = action["confirmation"]
    assert found["labels"] >= 100
    assert found["concept_drift"] is (concept == "turned round")
    assert (found["observed_loss"] > found["expected_loss"] + 0.2) is (concept == "turned round")
    version = service.api.get("/api/v1/models/watched.relabelled").json()["versions"][0]["version"]
    lineage = service.api.get(f"/api/v1/models/watched.relabelled/versions/{version}").json()["lineage"]
    assert (lineage["alarm"], lineage["pool"]) == (action["alarm_id"], opened.id)


def test_outcomes_of_earlier_versions_teach_too(service: Service) -> None:
    service.create(policy={"actions": ["retrain"], "min_severity": "warning", "min_labelled_rows": 700})
    service.predict(500, version="1", labels=True)
    service.predict(500, shift=2.0, labels=True)
    service.report()
    [action] = service.actions()
    plan = service.api.get(f"/api/v1/jobs/{action['job_id']}").json()["result"]
    assert plan["rows"] == 1000
    assert plan["train"]["data"]["target"] == "y"


def test_rows_that_are_older_than_the_retention_go(service: Service) -> None:
    service.create(retention_s=2 * 86_400)
    service.predict(100)
    service.sent = 2 * 1440
    service.predict(70)
    assert service.report()["inflow"]["predictions"] == 70


def test_a_window_whose_outcomes_are_known_opens_no_pool(service: Service) -> None:
    service.create(policy={"actions": ["label"], "min_severity": "warning"})
    service.predict(500, shift=2.0, labels=True)
    service.report()
    [action] = service.actions()
    assert action["pool_id"] is None
    result = service.api.get(f"/api/v1/jobs/{action['job_id']}").json()["result"]
    assert "50 are needed" in result["reason"]


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"slices": ["colour"]}, "slices", "nearest: color"),
        ({"window": {"rows": 500, "duration_s": 3600}}, "window", "not both"),
        ({"tests": ["kolmogorov"]}, "tests.0", "'ks'"),
        ({"schedule": {"report": "61 * * * *"}}, "schedule.report", "minute"),
        ({"schedule": {"retrain": "0 0 30 2 *"}}, "schedule.retrain", "never comes"),
        ({"polcy": {}}, "polcy", "nearest: policy"),
        ({"policy": {"webhook": "risk-team"}}, "policy.webhook", "no webhook has this id"),
    ],
)
def test_a_bad_monitor_is_refused(service: Service, change: dict[str, Any], field: str, told: str) -> None:
    answer = service.create(**change)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert told in answer.json()["errors"][0]["message"]


def test_unknown_names_are_404(service: Service) -> None:
    assert service.api.get(f"{service.path}/report").status_code == 404
    assert service.post("predictions", [{"id": 1}]).status_code == 404
    assert service.create(model={"name": "watche"}).status_code == 404
    assert service.create(model={"name": "watched", "version": "99"}).status_code == 404


def test_the_same_monitor_again_is_the_same_and_another_one_conflicts(service: Service) -> None:
    assert [service.create().status_code for _ in range(2)] == [201, 200]
    assert service.create(false_alarm_rate=0.05).status_code == 409
    spec = {"name": service.name, "model": {"name": service.model}, "false_alarm_rate": 0.05}
    assert service.api("PUT", service.path, json=spec).json()["spec"]["false_alarm_rate"] == 0.05
    assert service.api("DELETE", service.path).status_code == 204
    assert service.api.get(service.path).status_code == 404


def test_bad_batches_leave_nothing(service: Service) -> None:
    service.create()
    service.predict(50)
    cut = service.api.post(f"{service.path}/predictions", content=b'{"id": "a", "ti', headers=NDJSON)
    assert (cut.status_code, "nothing of it was kept" in cut.json()["hint"]) == (400, True)
    bad = service.post("predictions", [{"id": "x", "time": START.isoformat(), "features": {"income": 1, "color": "red"},
                                        "scores": 1.5}])  # fmt: skip
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "rows[0].scores")
    other = service.api.post(f"{service.path}/predictions", content=b"a,b", headers={"Content-Type": "text/csv"})
    assert other.status_code == 415
    assert service.report()["inflow"]["predictions"] == 50


def test_a_flood_is_refused_and_what_was_accepted_is_there(
    service: Service, monkeypatch: pytest.MonkeyPatch, make_api: Callable[..., Api]
) -> None:
    service.create()
    monitors = service.api.app.state.services.monitors
    monitors._open_bodies = 8
    refused = service.predict(10)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    monitors._open_bodies = 0
    service.predict(60)
    assert service.report()["inflow"]["predictions"] == 60
    monkeypatch.setattr(bodies, "MAX_ROWS", 5)
    assert service.predict(6).status_code == 413


def test_an_empty_stream_has_a_report(service: Service) -> None:
    service.create()
    report = service.report()
    assert report["windows"] == []
    assert any("No prediction" in note for note in report["notes"])
