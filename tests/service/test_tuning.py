"""A search over HTTP: live, listed, and going on after the process that runs it was killed."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest
from whole_service import WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

MODEL = {"family": "xgboost", "params": {"n_estimators": 3000, "early_stopping_rounds": 0}}
TRIALS = 10
TUNE = {"num_trials": TRIALS, "scheduler": "none"}


def until_trials(whole: WholeService, job_id: str, count: int) -> None:
    """Returns when so many trials are over."""
    with whole.http.stream("GET", f"/api/v1/jobs/{job_id}/events") as events:
        for line in events.iter_lines():
            if (
                line.startswith("data:")
                and json.loads(line[5:])["data"].get("metrics", {}).get("tune/trials", 0) >= count
            ):
                return
    raise AssertionError("the job was over before")


def trials(whole: WholeService, job_id: str) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        query = {"limit": 10} | ({"cursor": cursor} if cursor else {})
        page = whole.http.get(f"/api/v1/jobs/{job_id}/trials", params=query).raise_for_status().json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_a_search_goes_on_after_its_process_was_killed(whole: WholeService) -> None:
    job = whole.submit(name="tuned", model=MODEL, tune=TUNE, resources={"cpus_per_worker": 2})
    until_trials(whole, job["id"], 2)
    assert trials(whole, job["id"])
    victims = whole.processes("ray::train:")
    assert victims
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=30)

    done = whole.finished(job["id"])

    assert (done["status"], done["attempt"]) == ("SUCCEEDED", 2), done["error"]
    study = done["result"]["study"]
    assert study["resumed_trials"] >= 2
    assert sum(study["trials"].values()) == TRIALS
    rows = trials(whole, job["id"])
    assert [row["number"] for row in rows] == list(range(TRIALS))
    assert {row["status"] for row in rows} == {"COMPLETE"}
    assert rows[0]["params"] == {}
    best = max(rows, key=lambda row: (row["values"]["roc_auc"], -row["number"]))
    assert study["best"]["number"] == best["number"]
    assert whole.processes("ray::TrialActor") == []
    shown = whole.mts("trials", job["id"]).stdout
    assert f"{best['number']} *" in shown


def test_a_bad_search_is_refused_with_its_field(whole: WholeService) -> None:
    space = {"max_dept": {"type": "int", "low": 2, "high": 8}}
    answer = whole.http.post(
        "/api/v1/train",
        json={
            "name": "bad-search",
            "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
            "tune": {"search_space": space},
        },
    )

    assert answer.status_code == 422
    [problem] = answer.json()["errors"]
    assert problem["field"] == "tune.search_space.max_dept"
    assert "nearest: max_depth" in problem["message"]


def test_a_job_without_a_search_has_no_trials(whole: WholeService) -> None:
    job = whole.finished(whole.submit(name="untuned")["id"])

    assert trials(whole, job["id"]) == []
    assert whole.http.get("/api/v1/jobs/job_unknown/trials").status_code == 404
    assert whole.http.get(f"/api/v1/jobs/{job['id']}/trials?cursor=x").status_code == 422
