"""Who did what is written down, and no secret with it; what a browser is told."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_app.services.audit import AuditLog
from ray_app.services.keys import Role, new_key


def lines(api: Any) -> list[dict[str, Any]]:
    files = sorted(api.settings.logs_path.glob("audit-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_changes_and_refusals_are_written_reads_are_not(make_api: Any, tmp_path: Path, spec: dict[str, Any]) -> None:
    key, record = new_key("alice", Role.TRAINER)
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump({"keys": [record.model_dump(mode="json")]}))
    api = make_api(api_keys_file=path)
    headers = {"Authorization": f"Bearer {key}"}

    job_id = api.post("/api/v1/train", json=spec, headers=headers).json()["id"]
    api.get("/api/v1/jobs", headers=headers)
    api.post(f"/api/v1/jobs/{job_id}/cancel", headers=headers)
    api.get("/api/v1/jobs", headers={"Authorization": "Bearer mts_alice_stolen"})
    api.post("/api/v1/models/m/versions/1/promote", json={"force": True, "reason": "x"}, headers=headers)

    told = [(line.get("caller"), line["method"], line["path"], line["status"]) for line in lines(api)]
    assert told == [
        ("alice", "POST", "/api/v1/train", 202),
        ("alice", "POST", f"/api/v1/jobs/{job_id}/cancel", 202),
        (None, "GET", "/api/v1/jobs", 401),
        ("alice", "POST", "/api/v1/models/m/versions/1/promote", 403),
    ]
    first = lines(api)[0]
    assert first["location"] == f"/api/v1/jobs/{job_id}"
    assert first["role"] == "trainer"
    assert len(first["request_id"]) == 32
    [file] = api.settings.logs_path.glob("audit-*.jsonl")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()
    assert "stolen" not in file.read_text()


def test_a_folder_that_cannot_be_written_fails_no_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "logs").write_text("in the way")
    AuditLog(tmp_path / "logs").record("POST", "/api/v1/train", 202, caller="alice")
    assert "cannot be written" in caplog.text


def test_no_other_site_is_let_in(api: Any) -> None:
    origin = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (api("OPTIONS", "/api/v1/train", headers=origin), api.get("/api/v1/jobs", headers=origin)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
