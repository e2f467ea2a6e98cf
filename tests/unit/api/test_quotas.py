"""How much one caller may ask."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_app.services.keys import Caller, Role, new_key
from ray_app.services.quotas import OWNER_TAG, QuotaError, Quotas, owned
from training.errors import SpecError


def test_a_caller_gets_its_rate_and_is_told_when_to_come_back() -> None:
    now = [0.0]
    quotas = Quotas(None, clock=lambda: now[0])  # type: ignore[arg-type]  # no jobs are looked at
    caller, other = Caller("a", Role.VIEWER, requests_per_minute=30), Caller("b", Role.VIEWER, requests_per_minute=30)
    for _ in range(30):
        quotas.count_request(caller)
    with pytest.raises(QuotaError, match="30 requests a minute") as refused:
        quotas.count_request(caller)
    assert refused.value.retry_after_s == 2
    quotas.count_request(other)
    now[0] += 2.0
    quotas.count_request(caller)
    with pytest.raises(QuotaError):
        quotas.count_request(caller)
    for _ in range(1000):
        quotas.count_request(Caller("free", Role.VIEWER))


def test_a_spec_cannot_name_its_owner() -> None:
    with pytest.raises(SpecError, match="set by the service"):
        owned({"tags": {OWNER_TAG: "somebody"}}, None)
    assert owned({"tags": {"a": "b"}}, Caller("me", Role.TRAINER)) == {"tags": {"a": "b", OWNER_TAG: "me"}}
    assert owned({"tags": {"a": "b"}}, None) == {"tags": {"a": "b"}}


def test_over_http_both_are_429_with_retry_after(make_api: Any, tmp_path: Path, spec: dict[str, Any]) -> None:
    made = [new_key("jobs", Role.TRAINER), new_key("rate", Role.VIEWER), new_key("other", Role.TRAINER)]
    limits = ({"max_active_jobs": 2}, {"requests_per_minute": 3}, {})
    records = [record.model_copy(update=limit) for (_, record), limit in zip(made, limits, strict=True)]
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump({"keys": [record.model_dump(mode="json") for record in records]}))
    api = make_api(api_keys_file=path)
    jobs, rate, other = ({"Authorization": f"Bearer {key}"} for key, _ in made)

    ids = [api.post("/api/v1/train", json=spec, headers=jobs).json()["id"] for _ in range(2)]
    for refused in (
        api.post("/api/v1/train", json=spec, headers=jobs),
        api.post(f"/api/v1/jobs/{ids[0]}/retry", headers=jobs),
    ):
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert "2 jobs" in refused.json()["detail"]
    assert api.post("/api/v1/train", json=spec, headers=other).status_code == 202, "each has its own"
    assert api.post(f"/api/v1/jobs/{ids[0]}/cancel", headers=jobs).status_code == 202
    assert api.post("/api/v1/train", json=spec, headers=jobs).status_code == 202
    mine = api.get(f"/api/v1/jobs?tag={OWNER_TAG}=jobs", headers=jobs).json()["items"]
    assert len(mine) == 3

    answers = [api.get("/api/v1/jobs", headers=rate) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_what_is_counted_is_what_is_not_over(make_api: Any, spec: dict[str, Any]) -> None:
    api = make_api()
    tagged = api.post("/api/v1/train", json=spec | {"tags": {"team": "a"}}).json()["id"]
    api.post("/api/v1/train", json=spec | {"tags": {"team": "b"}})
    assert asyncio.run(api.jobs.active("team=a")) == 1
    api.post(f"/api/v1/jobs/{tagged}/cancel")
    assert asyncio.run(api.jobs.active("team=a")) == 0
