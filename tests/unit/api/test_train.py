"""POST /train: what works becomes a job, what cannot work never does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.errors import UnavailableError

TRAIN = "/api/v1/train"


def test_a_spec_becomes_a_stored_job(api: Any, spec: dict[str, Any]) -> None:
    answer = api.post(TRAIN, json=spec)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["status"], job["kind"], job["name"]) == ("PENDING", "train", "toy")
    assert job["spec"]["split"]["test_size"] == 0.2  # the stored spec has every default
    assert api.store.get(job["id"]).id == job["id"]
    assert api.get(answer.headers["location"]).json() == job


def test_a_dry_run_answers_the_plan_and_stores_nothing(api: Any, spec: dict[str, Any]) -> None:
    answer = api.post(TRAIN, params={"dry_run": "true"}, json=spec)
    assert answer.status_code == 200
    plan = answer.json()
    assert plan["task"] == "binary"
    assert plan["data"]["rows"] == 80
    assert plan["data"]["train_rows"] + plan["data"]["validation_rows"] + plan["data"]["test_rows"] == 80
    assert {column["name"] for column in plan["columns"]} == {"x", "k", "y"}
    assert plan["spec"]["split"]["seed"] == 0
    assert api.get("/api/v1/jobs").json() == {"items": [], "next_cursor": None}


def test_yaml_is_the_same_spec(api: Any, spec: dict[str, Any]) -> None:
    body = yaml.safe_dump(spec)
    answer = api.post(TRAIN, content=body, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"] == api.post(TRAIN, json=spec).json()["spec"]


def test_the_same_key_answers_the_same_job_and_another_spec_is_a_conflict(api: Any, spec: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "monday"}
    first, again = (api.post(TRAIN, json=spec, headers=key) for _ in range(2))
    assert again.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    other = api.post(TRAIN, json={**spec, "priority": 3}, headers=key)
    assert other.status_code == 409
    assert len(api.get("/api/v1/jobs").json()["items"]) == 1


def test_two_equal_keys_at_once_make_one_job(api: Any, spec: dict[str, Any]) -> None:
    sent = [api.in_background("POST", TRAIN, json=spec, headers={"Idempotency-Key": "same"}) for _ in range(6)]
    answers = [answer() for answer in sent]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1


def change(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(spec)
    here = changed
    *parents, last = path.split(".")
    for part in parents:
        here = here.setdefault(part, {})
    here[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("nmae", "x", ("nmae", "nearest: name")),
        ("name", "Not OK", ("name", "pattern")),
        ("name", "naïve", ("name", "pattern")),
        ("data.target", "yy", ("data.target", "nearest: y")),
        ("data.target", "zzz", ("data.target", "no such column")),
        ("data.source", {"type": "fiel", "uri": "x"}, ("data.source.type", "nearest: file")),
        ("data.source", {"type": "file", "uri": "data/missing.csv"}, ("data.source.uri", "")),
        ("data.source", {"type": "file", "uri": "/etc/passwd"}, ("data.source.uri", "")),
        ("data.source", {"type": "file", "uri": "data/../../etc/passwd"}, ("data.source.uri", "")),
        ("data.source", {"type": "file", "uri": "http://169.254.169.254/latest"}, ("data.source.uri", "")),
        ("data.source", {"type": "inline", "rows": []}, ("data.source.rows", "at least 1")),
        ("model.params", {"C": 1, "max_itre": 3}, ("model.params.max_itre", "nearest: max_iter")),
        ("split.test_size", 1.5, ("split.test_size", "less than 1")),
        ("split.seed", 2**63 - 1, ("split.seed", "less than")),
        ("split.strategy", "time", ("", "")),
        ("evaluation.slices", ["kk"], ("evaluation.slices", "nearest: k")),
        ("tags", {"a": {"b": 1}}, ("tags.a", "string")),
        ("tags", {"a": "x" * 10_000}, ("tags", "")),
        ("resources.num_workers", 0, ("resources.num_workers", "greater than or equal to 1")),
    ],
)
def test_a_spec_that_cannot_work_is_422_and_named(
    api: Any, spec: dict[str, Any], path: str, value: Any, expected: tuple[str, str]
) -> None:
    answer = api.post(TRAIN, json=change(spec, path, value))
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    field, says = expected
    assert any(field in error["field"] and says in error["message"] for error in problem["errors"]), problem
    assert problem["detail"]
    assert api.get("/api/v1/jobs").json()["items"] == []


@pytest.mark.parametrize("labels", [["yes"], [None]])
def test_a_target_without_two_classes_is_422(api: Any, spec: dict[str, Any], labels: list[str | None]) -> None:
    rows = [{"x": index, "y": labels[0]} for index in range(40)]
    answer = api.post(TRAIN, json=change(spec, "data.source.rows", rows))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "data.target"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"x,y\n"),
        ("ragged.csv", b"x,y\n1,2\n3\n"),
        ("latin.csv", "x,y\nä,1\n".encode("latin-1")),
        ("twice.csv", b"x,x,y\n1,2,3\n"),
        ("not.parquet", b"x,y\n1,2\n"),
        ("not.jsonl", b"x,y\n1,2\n"),
        ("odd.xyz", b"x,y\n1,2\n"),
    ],
)
def test_a_file_that_cannot_be_used_is_422_and_named(api: Any, spec: dict[str, Any], name: str, content: bytes) -> None:
    (api.data / name).write_bytes(content)
    answer = api.post(TRAIN, json=change(spec, "data.source", {"type": "file", "uri": f"data/{name}"}))
    assert answer.status_code == 422, answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["errors"][0]["field"].startswith("data.source")


def test_large_data_are_checked_when_the_job_starts(make_api: Any, spec: dict[str, Any]) -> None:
    api = make_api(plan_limit_mb=0)
    (api.data / "t.csv").write_text("x,y\n" + "1,a\n2,b\n" * 50)
    source = {"type": "file", "uri": "data/t.csv"}
    assert api.post(TRAIN, json=change(spec, "data.source", source)).status_code == 202
    wrong_later = change(change(spec, "data.source", source), "data.target", "nope")
    assert api.post(TRAIN, json=wrong_later).status_code == 202
    wrong_now = change(change(spec, "data.source", source), "model.params", {"nope": 1})
    answer = api.post(TRAIN, json=wrong_now)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "model.params.nope"


def test_a_symlink_out_of_the_roots_is_422(api: Any, spec: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "outside.csv").write_text("x,y\n1,a\n")
    (api.data / "inside.csv").symlink_to(tmp_path / "outside.csv")
    answer = api.post(TRAIN, json=change(spec, "data.source", {"type": "file", "uri": "data/inside.csv"}))
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:mts:problem:access-error"


def test_non_ascii_names_are_fine(api: Any, spec: dict[str, Any]) -> None:
    rows = [{"größe": index, "цель": "да" if index % 2 else "нет"} for index in range(60)]
    changed = change(change(spec, "data.source.rows", rows), "data.target", "цель")
    answer = api.post(TRAIN, json=changed)
    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"]["data"]["target"] == "цель"


def test_a_dispatcher_that_is_away_is_503_and_says_when_to_come_back(api: Any, spec: dict[str, Any]) -> None:
    api.jobs.away = UnavailableError("the dispatcher does not answer", hint="Try again.")
    answer = api.post(TRAIN, json=spec)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["detail"] == "the dispatcher does not answer"
