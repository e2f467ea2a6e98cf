"""Who may call what, and what a browser may not be made to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_app.api.auth import Requires, public
from ray_app.services.keys import Role, new_key


@pytest.fixture
def guarded(make_api: Any, tmp_path: Path) -> tuple[Any, dict[str, str]]:
    """An application with a key for each role, and the keys."""
    made = {role.value: new_key(role.value, role) for role in Role}
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump({"keys": [record.model_dump(mode="json") for _, record in made.values()]}))
    return make_api(api_keys_file=path, host="0.0.0.0"), {role: key for role, (key, _) in made.items()}  # noqa: S104


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


OPEN = {
    "GET /healthz", "GET /readyz",
    # a page without data, and an event that proves by a signature where it comes from
    "GET /api/v1/active-learning/pools/{pool_id}/page",
    "POST /api/v1/active-learning/pools/{pool_id}/label-studio/webhook",
}  # fmt: skip


def endpoints(router: Any) -> Iterator[Any]:
    for route in getattr(router, "routes", []):
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from endpoints(inner)
        else:
            yield route


def test_every_endpoint_declares_a_role_or_that_it_is_public(api: Any) -> None:
    found = {}
    for route in endpoints(api.app):
        calls = [dependency.call for dependency in route.dependant.dependencies]
        roles = [call.role for call in calls if isinstance(call, Requires)]
        assert len(roles) == 1 or public in calls, route.path
        for method in route.methods:
            found[f"{method} {route.path}"] = roles[0] if roles else None
    assert {name for name, role in found.items() if role is None} == OPEN
    assert all(role is not Role.VIEWER for name, role in found.items() if name.startswith("POST"))


def test_without_a_key_only_health_answers(guarded: tuple[Any, dict[str, str]]) -> None:
    api, _ = guarded
    assert api.get("/healthz").status_code == 200
    for path in ("/api/v1/jobs", "/metrics", "/openapi.json", "/docs", "/api/v1/models"):
        answer = api.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("wrong", ["", "x", "mts_trainer_x", "mts_nobody_x"])
def test_a_wrong_key_is_401(guarded: tuple[Any, dict[str, str]], wrong: str) -> None:
    api, _ = guarded
    assert api.get("/api/v1/jobs", headers=bearer(wrong)).status_code == 401
    assert api.get("/api/v1/jobs", headers={"X-API-Key": wrong}).status_code == 401


def test_each_role_may_do_its_part(guarded: tuple[Any, dict[str, str]], spec: dict[str, Any]) -> None:
    api, keys = guarded
    for role in keys:
        assert api.get("/api/v1/jobs", headers=bearer(keys[role])).status_code == 200
        assert api.get("/api/v1/jobs", headers={"X-API-Key": keys[role]}).status_code == 200
    refused = api.post("/api/v1/train", json=spec, headers=bearer(keys["viewer"]))
    assert refused.status_code == 403
    assert "needs trainer" in refused.json()["detail"]
    assert api.post("/api/v1/train", json=spec, headers=bearer(keys["trainer"])).status_code == 202
    forced = {"json": {"force": True, "reason": "because"}}
    path = "/api/v1/models/toy/versions/1/promote"
    assert api.post(path, **forced, headers=bearer(keys["trainer"])).status_code == 403
    assert api.post(path, **forced, headers=bearer(keys["approver"])).status_code == 404


def test_a_key_is_in_no_log(guarded: tuple[Any, dict[str, str]], caplog: pytest.LogCaptureFixture) -> None:
    api, keys = guarded
    with caplog.at_level("DEBUG"):
        api.get("/api/v1/jobs", headers=bearer(keys["admin"]))
        api.get("/api/v1/jobs", headers=bearer("mts_admin_wrong-secret"))
    assert keys["admin"] not in caplog.text
    assert "wrong-secret" not in caplog.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_without_keys_a_foreign_host_name_is_403(api: Any, host: str) -> None:
    assert api.get("/api/v1/jobs", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9000", "[::1]:8000"])
def test_without_keys_this_machine_may_do_all(api: Any, host: str) -> None:
    assert api.get("/api/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_cannot_post(api: Any, spec: dict[str, Any], headers: dict[str, str]) -> None:
    assert api.post("/api/v1/train", json=spec, headers=headers).status_code == 403
    assert api.get("/api/v1/jobs").json()["items"] == []


def test_a_page_of_this_site_can_post(api: Any, spec: dict[str, Any]) -> None:
    headers = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}
    assert api.post("/api/v1/train", json=spec, headers=headers).status_code == 202


def test_no_operation_of_the_document_is_open(guarded: tuple[Any, dict[str, str]]) -> None:
    api, keys = guarded
    paths = api.get("/openapi.json", headers=bearer(keys["viewer"])).json()["paths"]
    operations = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len(operations) > 15
    for method, path in operations:
        filled = re.sub(r"\{[a-z_]+\}", "1", path)
        if f"{method} {path}" in OPEN:
            continue
        assert api(method, filled).status_code == 401, path
        if method != "GET":
            refused = api(method, filled, json={}, headers=bearer(keys["viewer"]))
            assert refused.status_code == 403, path
