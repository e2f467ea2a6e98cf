"""A caller tries to reach further than it may: each attempt is refused, names a field, and leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TRAIN = "/api/v1/train"


def with_source(spec: dict[str, Any], **source: Any) -> dict[str, Any]:
    return spec | {"data": spec["data"] | {"source": source}}


def refused(api: Any, body: Any, *statuses: int, **options: Any) -> dict[str, Any]:
    before = len(api.get("/api/v1/jobs").json()["items"])
    answer = api.post(TRAIN, json=body, **options) if body is not None else api.post(TRAIN, **options)
    assert answer.status_code in (statuses or (422,)), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(api.get("/api/v1/jobs").json()["items"]) == before
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    "uri",
    [
        "/etc/passwd", "../home/jobs.db", "data/../../etc/passwd", "file:///etc/passwd", "data/%2e%2e/%2e%2e/etc/x",
        "/proc/self/environ", "data/../home/keys.yaml", "~/.ray/auth_token", "data/**/../../*", "/data", "\\\\a\\b",
        "http://169.254.169.254/latest/meta-data/", "https://127.0.0.1:8000/api/v1/jobs", "ftp://127.0.0.1/x.csv",
        "s3://bucket/rows.csv", "s3://data/x?endpoint_override=http://127.0.0.1:8000", "gs://bucket/x.csv", "hdfs://x/y",
        "data:text/csv,a,b", "jar:file:///x", "sqlite:///home/jobs.db", "|cat /etc/passwd", "$(id)", "{{7*7}}", "${X}",
    ],
)  # fmt: skip
def test_only_what_lies_under_a_root_is_read(api: Any, spec: dict[str, Any], uri: str) -> None:
    problem = refused(api, with_source(spec, type="file", uri=uri))
    assert problem["errors"][0]["field"] == "data.source.uri"
    assert "root:" not in problem["detail"], "nothing of a file's content"


def test_a_link_out_of_a_root_is_not_followed(api: Any, spec: dict[str, Any], tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("x,k,y\n1,a,yes\n2,b,no\n")
    (api.data / "link.csv").symlink_to(secret)
    (api.data / "folder").symlink_to(tmp_path)
    for uri in ("data/link.csv", "data/folder/secret.csv", "data/folder", "data/*.csv"):
        refused(api, with_source(spec, type="file", uri=uri))


@pytest.mark.parametrize(
    "model",
    [
        {"family": "sklearn", "estimator": "os.system"},
        {"family": "sklearn", "estimator": "sklearn.svm.SVC"},
        {"family": "sklearn", "estimator": "logistic_regression", "params": {"__class__": "x"}},
        {"family": "sklearn", "estimator": "logistic_regression", "params": {"solver": "{{config}}"}},
        {"family": "xgboost", "params": {"callbacks": ["os.system"]}},
        {"family": "xgboost", "params": {"xgb_model": "/etc/passwd"}},
        {"family": "xgboost", "params": {"objective": "__import__('os').system('id')"}},
        {"family": "torch", "architecture": "torch.hub.load"},
        {"family": "torch", "architecture": "mlp", "params": {"state_dict": "gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVt"}},
        {"family": "pickle", "path": "data/model.pkl"},
    ],
)  # fmt: skip
def test_no_code_comes_in_by_the_model(api: Any, spec: dict[str, Any], model: dict[str, Any]) -> None:
    problem = refused(api, spec | {"model": model})
    assert problem["errors"][0]["field"].startswith("model")


def test_yaml_is_plain_data(api: Any) -> None:
    yaml_type = {"Content-Type": "application/yaml"}
    for text in (
        b"!!python/object/apply:os.system ['id']",
        b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        b"? !!python/name:os.system\n: 1",
        b"[" * 5000,
        b"x: " + b"9" * 5_000_000,
    ):
        refused(api, None, 400, content=text, headers=yaml_type)


def test_depth_and_size_are_bounded(api: Any, spec: dict[str, Any]) -> None:
    deep: Any = {}
    for _ in range(70):
        deep = {"x": deep}
    refused(api, spec | {"tags": deep}, 400)
    refused(api, spec | {"tags": {f"k{number}": "v" for number in range(1000)}})
    refused(api, spec | {"tags": {"k": "v" * 100_000}})
    refused(api, spec | {"name": "a" * 101})
    refused(api, spec | {"resources": {"memory_mb": 2**62}})
    refused(api, spec | {"resources": {"cpus_per_worker": 2**40}})
    refused(api, with_source(spec, type="inline", rows=[{"x": [1, 2]}] * 10))
    refused(api, None, 413, content=b" " * 17_000_000, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "${jndi:ldap://x}", "%(x)s", "<script>alert(1)</script>", "'; DROP TABLE jobs; --"]
)
def test_text_stays_text(api: Any, spec: dict[str, Any], text: str) -> None:
    job = api.post(TRAIN, json=spec | {"tags": {"note": text}}).json()
    assert api.get(f"/api/v1/jobs/{job['id']}").json()["tags"] == {"note": text}
    assert [found["id"] for found in api.get("/api/v1/jobs", params={"tag": f"note={text}"}).json()["items"]] == [
        job["id"]
    ]
    assert api.get("/api/v1/jobs", params={"name": text}).json()["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/jobs/..%2f..%2fetc%2fpasswd", "/api/v1/jobs/%2e%2e/logs", "/api/v1/jobs/../../../etc/passwd/logs",
        "/api/v1/models/..%2f..%2fx", "/api/v1/models/x'%20or%20'1'='1", "/api/v1/models/x/versions/1%20or%201=1",
        "/api/v1/jobs/job_00000000000000000000000000/logs", "/-/routes", "/api/jobs/", "/dashboard",
        "/ajax-api/2.0/mlflow", "/static/../../x", "/.env",
    ],
)  # fmt: skip
def test_no_path_leads_out(api: Any, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text
