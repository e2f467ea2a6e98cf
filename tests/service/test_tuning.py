"""A search over HTTP: live, listed, and going on after the process that runs it was killed."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest
from whole_service import WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

MODEL = {"family": "xgboost", "params": {"n_estimators": 1500, "early_stopping_rounds": 0}}
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


def test_a_search_is_shown_begun_from_and_reproduced(whole: WholeService) -> None:
    changes = {"model": {"family": "xgboost", "params": {"n_estimators": 40}}, "evaluation": {"bootstrap_samples": 20}}
    # importances need some trials that ran to their end
    tune = {"num_trials": 10, "max_concurrent_trials": 1, "scheduler": "none"}
    first = whole.finished(whole.submit(name="searched", tune=tune, **changes)["id"])
    second = whole.finished(whole.submit(name="searched", tune=tune | {"num_trials": 3}, **changes)["id"])
    third = whole.submit(name="other", tune=tune | {"num_trials": 2, "warm_start_from": first["id"]}, **changes)
    again = whole.http.post(f"/api/v1/jobs/{second['id']}/reproduce").raise_for_status().json()

    assert {job["status"] for job in (first, second)} == {"SUCCEEDED"}
    best = max((row for row in trials(whole, first["id"]) if row["params"] and row["values"]),
               key=lambda row: row["values"]["roc_auc"])  # fmt: skip
    assert best["params"] in second["result"]["study"]["started_from"]
    assert best["params"] in whole.finished(third["id"])["result"]["study"]["started_from"]
    assert second["result"]["study"]["best"]["values"]["roc_auc"] >= best["values"]["roc_auc"]
    repeated = whole.finished(again["id"])
    assert repeated["status"] == "SUCCEEDED", repeated["error"]
    assert repeated["result"]["identical"] is True
    version = first["result"]["model"]["version"]
    page = whole.http.get(f"/api/v1/models/searched/versions/{version}/report", headers={"Accept": "text/html"}).text
    for title in ("Optimisation history", "Importance of the parameters", "Learning curves of the trials",
                  "Parallel coordinates"):  # fmt: skip
        assert title in page
