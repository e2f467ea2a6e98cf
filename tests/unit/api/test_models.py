"""Models over a real registry: versions that the real pipeline trained, promotion, rollback, evaluation."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ray_app.jobs.model import FieldProblem, Job, JobError
from ray_app.services.assembly import workplace_of
from training.bundle_file import unpack
from training.errors import ErrorDetails, TrainingError
from training.events import SilentObserver
from training.pipeline import evaluate_model, run
from training.spec import EvaluateSpec, TrainSpec, parse_spec

MODELS = "/api/v1/models"


@pytest.fixture
def working(api: Any) -> Any:
    """The API, with jobs that are done as soon as they are submitted, by the real pipeline in this process."""
    return at_work(api)


@pytest.fixture
def working_with_webhooks(make_api: Any, tmp_path: Path) -> Any:
    """The same, with one receiver on the operator's list."""
    hook = {"id": "risk", "url": "https://risk.example/hook?token=x", "secret": "s" * 16, "models": ["heard"]}
    (tmp_path / "webhooks.yaml").write_text(json.dumps({"webhooks": [hook]}))
    return at_work(make_api(webhooks_file=tmp_path / "webhooks.yaml"))


def at_work(api: Any) -> Any:
    """Lets jobs be done as soon as they are submitted."""

    def do(job: Job) -> None:
        attempt = api.store.assign_attempt(job.id)
        api.store.started(job.id, attempt)
        try:
            if job.kind == "train":
                result = run(parse_spec(TrainSpec, job.spec), workplace, SilentObserver(), job_id=job.id)
            else:
                result = evaluate_model(parse_spec(EvaluateSpec, job.spec), workplace, SilentObserver())
        except TrainingError as error:
            api.store.fail(job.id, attempt, error_of(error.details()))
        else:
            api.store.succeed(job.id, attempt, result.model_dump(mode="json"))

    workplace = workplace_of(api.settings)
    api.jobs.on_submit = do
    return api


def error_of(facts: ErrorDetails) -> JobError:
    errors = [FieldProblem(**problem.as_dict()) for problem in facts.problems]
    return JobError(type=facts.type, message=facts.message, hint=facts.hint, retryable=facts.retryable, errors=errors)


def trained(api: Any, spec: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = api.post("/api/v1/train", json={**copy.deepcopy(spec), **changes})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = api.get(f"{answer.headers['location']}?wait_s=60").json()
    assert job["status"] == "SUCCEEDED", job["error"]
    return job


def test_versions_promotion_and_rollback(working: Any, spec: dict[str, Any]) -> None:
    first = trained(working, spec, name="flow")
    second = trained(working, spec, name="flow", promotion={"policy": "never"})
    model = working.get(f"{MODELS}/flow").json()
    assert model["aliases"]["champion"] == "1"
    assert [version["version"] for version in model["versions"]] == ["2", "1"]
    one = working.get(f"{MODELS}/flow/versions/1").json()
    assert one["job_id"] == first["id"]
    assert one["metrics"] == first["result"]["metrics"]
    assert one["data_sha256"] == second["result"]["data"]["sha256"]
    assert one["aliases"] == ["champion"]

    refused = working.post(f"{MODELS}/flow/versions/2/promote", json={"reason": "I like it"})
    assert refused.status_code == 409
    assert "force" in refused.json()["hint"]
    no_reason = working.post(f"{MODELS}/flow/versions/2/promote", json={"force": True})
    assert no_reason.status_code == 422
    assert no_reason.json()["detail"] == "reason: force needs a reason"
    forced = working.post(f"{MODELS}/flow/versions/2/promote", json={"force": True, "reason": "the first one leaks"})
    assert forced.status_code == 200, forced.text
    assert forced.json()["aliases"] == {"champion": "2", "previous": "1"}
    assert working.post(f"{MODELS}/flow/versions/2/promote").status_code == 409

    back = working.post(f"{MODELS}/flow/rollback", json={"reason": "complaints"})
    assert back.status_code == 200, back.text
    assert back.json()["aliases"]["champion"] == "1"
    history = working.get(f"{MODELS}/flow/versions/1").json()["history"]
    assert (history[-1]["by"], history[-1]["reason"]) == ("local", "complaints")


def test_versions_are_compared_archived_deleted_and_the_log_knows(working: Any, spec: dict[str, Any]) -> None:
    trained(working, spec, name="kept")
    trained(working, spec, name="kept", model={"family": "xgboost", "params": {"n_estimators": 5}})
    trained(working, spec, name="kept", promotion={"policy": "never"})
    model = f"{MODELS}/kept"
    found = working.get(f"{model}/compare", params={"a": "champion", "b": "2"}).json()
    assert (found["a"], found["b"]) == ("1", "2")
    assert found["metrics"]["roc_auc"]["a"] == working.get(f"{model}/versions/1").json()["metrics"]["roc_auc"]
    assert found["facts"]["job_id"]["a"] != found["facts"]["job_id"]["b"]

    assert working.post(f"{model}/versions/1/archive").status_code == 409
    away = working.post(f"{model}/versions/2/archive", json={"reason": "too simple"})
    assert away.json()["archived"] is True, away.text
    refused = working.post(f"{model}/versions/2/promote", json={"force": True, "reason": "try"})
    assert refused.status_code == 409
    assert "archived" in refused.json()["detail"]
    assert working("DELETE", f"{model}/versions/1").status_code == 409
    assert working("DELETE", f"{model}/versions/2", params={"reason": "gone"}).status_code == 204
    assert working.get(f"{model}/versions/2").status_code == 404
    log = working.get(f"{model}/audit").json()["items"]
    assert [(entry["action"], entry["version"], entry["by"]) for entry in log] == [
        ("delete", "2", "local"), ("archive", "2", "local"), ("promote", "1", "gate"),
    ]  # fmt: skip


def test_a_comparison_on_common_rows_has_differences(working: Any, spec: dict[str, Any]) -> None:
    rows = [{"x": float(index), "k": "abc"[index % 3], "y": "yes" if (index * 7919) % 100 > 50 else "no"}
            for index in range(400)]  # fmt: skip
    data = {"source": {"type": "inline", "rows": rows}, "target": "y"}
    trained(working, spec, name="pair", data=data)
    trained(working, spec, name="pair", data=data, model={"family": "xgboost", "params": {"n_estimators": 5}})
    found = working.get(f"{MODELS}/pair/compare", params={"a": "1", "b": "2"}).json()
    assert found["rows"] == 80
    gain = found["metrics"]["roc_auc"]["difference"]
    assert gain["low"] <= gain["value"] <= gain["high"]
    ends = [found["metrics"]["roc_auc"][side]["value"] for side in ("a", "b")]
    assert gain["value"] == pytest.approx(ends[1] - ends[0])


def test_a_version_that_failed_its_checks_is_not_promoted(working: Any, spec: dict[str, Any]) -> None:
    job = trained(working, spec, name="limited", promotion={"max_latency_ms": 1e-6})
    assert job["result"]["gate"]["decision"] == "keep"
    assert "max_latency_ms" in job["result"]["gate"]["failed_checks"][0]
    refused = working.post(f"{MODELS}/limited/versions/1/promote")
    assert refused.status_code == 409
    assert "failed its checks" in refused.json()["detail"]


def test_models_are_listed_with_their_newest_version(working: Any, spec: dict[str, Any]) -> None:
    for name in ("list-a", "list-b"):
        trained(working, spec, name=name)
    trained(working, spec, name="list-b", promotion={"policy": "never"})
    found, cursor = {}, None
    while True:
        page = working.get(MODELS, params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        found |= {model["name"]: [version["version"] for version in model["versions"]] for model in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found["list-a"] == ["1"]
    assert found["list-b"] == ["2"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "nothing"),
        ("GET", "nothing/versions/1"),
        ("POST", "nothing/versions/1/promote"),
        ("POST", "nothing/rollback"),
        ("POST", "nothing/versions/1/archive"),
        ("DELETE", "nothing/versions/1"),
        ("GET", "nothing/audit"),
        ("GET", "nothing/compare?a=1&b=2"),
        ("GET", "nothing/compare?a=champion&b=2"),
        ("GET", "nothing/versions/1/report"),
        ("GET", "x' OR name LIKE '%"),
        ("GET", "UPPER"),
        ("GET", "a" * 300),
        ("GET", "nothing/versions/0"),
        ("GET", "nothing/versions/latest"),
        ("GET", "nothing/versions/99999999999999999999"),
    ],
)
def test_an_unknown_model_or_version_is_404(api: Any, method: str, path: str) -> None:
    answer = api(method, f"{MODELS}/{path}")
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("version", ["7", "2147483648", "378560657538725179009008", "9" * 5000])
def test_to_evaluate_a_version_that_cannot_be_is_404(api: Any, version: str) -> None:
    body = {
        "model": {"name": "nothing", "version": version},
        "data": {"source": {"type": "inline", "rows": [{"x": 1}]}},
    }
    assert api.post("/api/v1/evaluate", json=body).status_code == 404


def test_a_misspelt_model_names_the_nearest(working: Any, spec: dict[str, Any]) -> None:
    trained(working, spec, name="nearest-one")
    assert "nearest-one" in working.get(f"{MODELS}/nearest-on").json()["detail"]
    missing = working.get(f"{MODELS}/nearest-one/versions/7")
    assert missing.status_code == 404


def test_a_foreign_cursor_is_422(api: Any) -> None:
    assert api.get(f"{MODELS}?cursor=x").status_code == 422


def test_a_version_has_a_report_as_a_page_and_as_json(working: Any, spec: dict[str, Any]) -> None:
    job = trained(working, spec, name="told")
    address = job["links"]["report"]
    assert address.endswith("/api/v1/models/told/versions/1/report")
    path = address.removeprefix("http://127.0.0.1:8000")
    as_json = working.get(path).json()
    assert (as_json["model"], as_json["version"], as_json["metrics"]) == ("told", "1", job["result"]["metrics"])
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    page = working.get(path, headers=browser)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "version 1" in page.text
    wary = working.get(path, headers={"Accept": "text/html;q=0.5, application/json"})
    assert wary.headers["content-type"] == "application/json"
    assert working.get(f"{MODELS}/told/versions/2/report").status_code == 404


def test_an_evaluation_answers_the_report(working: Any, spec: dict[str, Any]) -> None:
    trained(working, spec, name="measured")
    body = {"model": {"name": "measured"}, "data": {"source": spec["data"]["source"]}, "slices": ["k"]}
    answer = working.post("/api/v1/evaluate", json=body)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["model"]["version"] == "1"
    assert report["rows"] == 80
    assert report["metrics"]["roc_auc"]["low"] <= report["metrics"]["roc_auc"]["value"]
    assert {row["value"] for row in report["slices"]} == {"a", "b", "c"}
    assert working.get(answer.headers["location"]).json()["kind"] == "evaluate"


def test_an_evaluation_that_takes_longer_answers_the_job(working: Any, spec: dict[str, Any]) -> None:
    trained(working, spec, name="slow")
    working.jobs.on_submit = lambda job: None
    body = {"model": {"name": "slow"}, "data": {"source": spec["data"]["source"]}}
    answer = working.post("/api/v1/evaluate?wait_s=0.05", json=body)
    assert answer.status_code == 202
    assert answer.headers["location"].endswith(answer.json()["id"])


def test_an_evaluation_that_fails_answers_why(working: Any, spec: dict[str, Any]) -> None:
    trained(working, spec, name="failing")
    body = {"model": {"name": "failing"}, "data": {"source": {"type": "inline", "rows": [{"x": 1.0}]}}}
    answer = working.post("/api/v1/evaluate", json=body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"] == "urn:mts:problem:spec-error"
    assert problem["job"] == answer.headers["location"].rpartition("/")[2]
    assert problem["errors"]


def test_an_evaluation_that_is_cancelled_is_409(working: Any, spec: dict[str, Any]) -> None:
    trained(working, spec, name="dropped")
    working.jobs.on_submit = lambda job: working.store.request_cancel(job.id)
    body = {"model": {"name": "dropped"}, "data": {"source": spec["data"]["source"]}}
    assert working.post("/api/v1/evaluate", json=body).status_code == 409


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"model": {"name": "nothing"}}, 404, None),
        ({"model": {"name": "x", "version": "1", "alias": "champion"}}, 422, "model"),
        ({"model": {"name": "x", "version": "one"}}, 422, "model.version"),
        ({"modle": {}}, 422, "modle"),
        ({"bootstrap_samples": -1}, 422, "bootstrap_samples"),
        ({"data": {"source": {"type": "inline", "rows": []}}}, 422, "data.source.rows"),
    ],
)
def test_an_evaluation_that_cannot_work(api: Any, change: dict[str, Any], status: int, field: str | None) -> None:
    body = {"model": {"name": "nothing"}, "data": {"source": {"type": "inline", "rows": [{"x": 1}]}}, **change}
    answer = api.post("/api/v1/evaluate", json=body)
    assert answer.status_code == status, answer.text
    if field is not None:
        assert field in [error["field"] for error in answer.json()["errors"]]


def test_what_people_do_is_announced_and_dead_letters_are_replayed(
    working_with_webhooks: Any, spec: dict[str, Any]
) -> None:
    api = working_with_webhooks
    trained(api, spec, name="heard")
    trained(api, spec, name="heard", promotion={"policy": "never"})
    api.post(f"{MODELS}/heard/versions/2/promote", json={"force": True, "reason": "asked"})
    api.post(f"{MODELS}/heard/rollback", json={"reason": "back"})
    shown = api.get("/api/v1/webhooks").json()["items"]
    assert shown == [{"id": "risk", "url": "https://risk.example/hook", "events": None, "models": ["heard"]}]
    found = api.get("/api/v1/webhooks/deliveries").json()["items"]
    assert [(one["event"]["type"], one["event"]["version"], one["status"]) for one in found] == [
        ("version.rolled_back", "1", "PENDING"), ("version.promoted", "2", "PENDING"),
    ]  # fmt: skip
    newest = api.get("/api/v1/webhooks/deliveries?limit=1").json()
    older = api.get(f"/api/v1/webhooks/deliveries?limit=1&cursor={newest['next_cursor']}").json()
    assert [*newest["items"], *older["items"]] == found
    assert older["next_cursor"] is None
    assert api.get("/api/v1/webhooks/deliveries?cursor=whd_x").status_code == 422
    assert found[1]["event"]["data"] == {"by": "local", "reason": "asked"}
    assert found[1]["event"]["links"]["bundle"].endswith("/api/v1/models/heard/versions/2/bundle")
    path = f"/api/v1/webhooks/deliveries/{found[0]['id']}/replay"
    assert api.post(path).status_code == 409
    (delivery,) = [one for one in api.store.webhooks.page(None).items if one.id == found[0]["id"]]
    api.store.webhooks.failed(delivery, "down", None)
    dead = api.get("/api/v1/webhooks/deliveries?status=DEAD").json()["items"]
    assert [(one["id"], one["last_error"]) for one in dead] == [(found[0]["id"], "down")]
    assert api.post(path).status_code == 202
    assert api.post("/api/v1/webhooks/deliveries/whd_x/replay").status_code == 404


def test_a_bundle_is_sent_with_its_digest(working: Any, spec: dict[str, Any], tmp_path: Path) -> None:
    trained(working, spec, name="sent")
    answer = working.get(f"{MODELS}/sent/versions/1/bundle")
    assert answer.headers["content-type"] == "application/zip"
    (tmp_path / "b.zip").write_bytes(answer.content)
    manifest = unpack(tmp_path / "b.zip", tmp_path / "b", answer.headers["etag"].strip('"'))
    assert manifest["name"] == "sent"
    assert working.get(f"{MODELS}/sent/versions/2/bundle").status_code == 404
