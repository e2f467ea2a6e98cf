"""The loop closes in the running service: from an alarm to a version and to a pool whose labels confirm it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from board_queries import board, metric_names, queries
from whole_service import WholeService

from ray_app.jobs.store import JobStore

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

MODEL = "shop"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=60)
IN_CLUSTERS_THAT_GROW = {"ray_cluster_pending_nodes"}
NDJSON = {"Content-Type": "application/x-ndjson"}
PATIENCE_S = 200
"""For a machine that does other things too; what is waited for takes seconds."""


def visits(rows: int, seed: int, shift: float = 0.0) -> list[dict[str, Any]]:
    """Rows with the true chance of `yes`, and what came."""
    generator = np.random.default_rng(seed)
    income, age = generator.normal(size=rows) + shift, generator.normal(size=rows)
    chance = 1 / (1 + np.exp(-1.5 * income - 0.5 * age))
    came = generator.random(rows) < chance
    return [
        {"features": {"income": float(a), "age": float(b)}, "scores": float(c), "y": "yes" if d else "no"}
        for a, b, c, d in zip(income, age, chance, came, strict=True)
    ]


@pytest.fixture(scope="module")
def trained(whole: WholeService) -> str:
    """The first version of the model."""
    rows = [{**row["features"], "y": row["y"]} for row in visits(2000, 1)]
    data = {"source": {"type": "inline", "rows": rows}, "target": "y", "positive_class": "yes"}
    model = {"family": "sklearn", "estimator": "logistic_regression"}
    job = whole.finished(whole.submit(name=MODEL, data=data, model=model, split={"test_size": 0.5})["id"])
    assert job["status"] == "SUCCEEDED", job["error"]
    return MODEL


class Watch:
    """One monitor."""

    def __init__(self, whole: WholeService, name: str, **spec: Any) -> None:
        self.whole, self.path, self.sent = whole, f"/api/v1/monitors/{name}", 0
        body = {"name": name, "model": {"name": MODEL}, "window": {"rows": 500}, **spec}
        assert whole.http.put(self.path, json=body).status_code == 200

    def batch(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with an id and a time each."""
        first, self.sent = self.sent, self.sent + len(rows)
        return [
            row | {"id": f"v{first + number}", "time": (START + timedelta(minutes=first + number)).isoformat()}
            for number, row in enumerate(rows)
        ]

    def post(self, stream: str, rows: list[dict[str, Any]]) -> httpx.Response:
        body = "\n".join(json.dumps(row) for row in rows)
        return self.whole.http.post(f"{self.path}/{stream}", content=body, headers=NDJSON)

    def report(self) -> dict[str, Any]:
        answer = self.whole.http.get(f"{self.path}/report", params={"wait_s": 60})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def actions(self) -> dict[str, dict[str, Any]]:
        """The newest one of each kind."""
        found = self.whole.http.get(f"{self.path}/alarms").raise_for_status().json()["actions"]
        return {action["action"]: action for action in reversed(found)}

    def until(self, reached: Callable[[], Any]) -> Any:
        """What the dispatcher does after a job; a caller learns of it by asking, for nothing tells of it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not (found := reached()):
            assert time.monotonic() < deadline_s, self.actions()
            time.sleep(0.2)  # who asks without a pause keeps the dispatcher from its work
        return found


def test_an_alarm_leads_to_a_version_and_to_a_pool(whole: WholeService, trained: str) -> None:
    policy = {"actions": ["notify", "label", "retrain"], "min_severity": "warning", "min_labelled_rows": 400}
    watch = Watch(whole, "chain", policy=policy)
    rows = watch.batch(visits(1500, 2, shift=1.2))
    truth = {row["id"]: row.pop("y") for row in rows}
    assert watch.post("predictions", rows).status_code == 200
    known = [{"id": row["id"], "actual": truth[row["id"]]} for row in rows[500:]]
    assert watch.post("outcomes", known).status_code == 200
    assert {finding["subject"] for finding in watch.report()["windows"][0]["findings"]} >= {"income", "yes"}

    train_id = watch.until(lambda: watch.actions().get("retrain", {}).get("train_job_id"))
    train = whole.finished(train_id)
    assert train["status"] == "SUCCEEDED", train["error"]
    alarm = watch.actions()["retrain"]["alarm_id"]
    assert train["result"]["gate"]["champion"] == {"version": "1"}
    assert train["result"]["data"]["test_rows"] == 200, "the newest labelled rows"
    version = train["result"]["model"]["version"]
    lineage = whole.http.get(f"/api/v1/models/{MODEL}/versions/{version}").json()["lineage"]
    assert (lineage["monitor"], lineage["alarm"]) == ("chain", alarm)
    plan = whole.job(watch.actions()["retrain"]["job_id"])["result"]
    assert set(plan["scores"]) == {"expanding", "rolling", "recency"}
    assert plan["window"] == max(plan["scores"], key=plan["scores"].get)

    pool = watch.until(lambda: watch.actions()["label"]["pool_id"])
    while not (confirmation := watch.actions()["label"]["confirmation"]) or not confirmation["concept_drift"]:
        asked = {"labeller": "ann", "size": 200}
        answer = whole.http.post(f"/api/v1/active-learning/pools/{pool}/query", json=asked, params={"wait_s": 60})
        # whoever labels finds that the same visits now end otherwise
        other = {"yes": "no", "no": "yes"}
        labels = [{"id": item["id"], "label": other[truth[item["id"]]]} for item in answer.json()["items"]]
        if labels:
            told = whole.http.post(f"/api/v1/active-learning/pools/{pool}/labels",
                                   json={"labeller": "ann", "labels": labels})  # fmt: skip
            assert told.status_code == 200, told.text
        jobs = whole.http.get("/api/v1/jobs", params={"tag": f"pool={pool}", "limit": 200}).json()["items"]
        for job in jobs:
            whole.finished(job["id"])
    assert confirmation["observed_loss"] > confirmation["expected_loss"]
    assert whole.http.get(f"/api/v1/active-learning/pools/{pool}").json()["spec"]["tags"]["alarm"] == alarm


def test_what_falls_due_while_the_dispatcher_is_dead_is_trained_once(whole: WholeService, trained: str) -> None:
    policy = {"training_window": "expanding", "min_labelled_rows": 400}
    watch = Watch(whole, "yearly", policy=policy, schedule={"retrain": "0 0 1 1 *"})
    rows = watch.batch(visits(600, 3))
    known = [{"id": row["id"], "actual": row.pop("y")} for row in rows]
    assert watch.post("predictions", rows).status_code == watch.post("outcomes", known).status_code == 200
    # the year goes by in the store alone: the dispatcher that lives has read when it is due, and learns nothing of it
    with closing(JobStore(f"sqlite:///{whole.home}/jobs.db")) as store:
        store.monitors.reschedule("yearly", "next_retrain_at", datetime.now(UTC) - timedelta(minutes=1))

    def jobs(kind: str) -> list[dict[str, Any]]:
        page = whole.http.get("/api/v1/jobs", params={"tag": "monitor=yearly", "kind": kind}).raise_for_status().json()
        return list(page["items"])

    whole.kill("ray::DispatcherActor")
    train = whole.finished(watch.until(lambda: jobs("train"))[0]["id"])
    assert train["status"] == "SUCCEEDED", train["error"]
    assert train["result"]["gate"]["champion"] is not None
    reference = train["result"]["model"]
    version = whole.http.get(f"/api/v1/models/{MODEL}/versions/{reference['version']}").json()
    assert version["lineage"]["monitor"] == "yearly"

    whole.kill("ray::DispatcherActor")
    [action] = whole.http.get(f"{watch.path}/alarms").raise_for_status().json()["actions"]
    assert (action["reason"], action["train_job_id"]) == ("schedule", train["id"])
    assert [len(jobs(kind)) for kind in ("monitor", "train")] == [1, 1]
    due = datetime.fromisoformat(whole.http.get(watch.path).json()["next_retrain_at"])
    assert (due.year, due.month, due.day) == (datetime.now(UTC).year + 1, 1, 1)


def test_the_running_service_exports_what_the_board_asks_for(whole: WholeService, trained: str) -> None:
    watch = Watch(whole, "scraped")
    rows = [{name: row[name] for name in row if name != "y"} for row in watch.batch(visits(500, 4))]
    assert watch.post("predictions", rows).status_code == 200
    watch.report()
    asked = {name for query in queries(board()) for name in metric_names(query)} - IN_CLUSTERS_THAT_GROW

    def missing() -> set[str]:
        text = whole.http.get("/metrics").raise_for_status().text
        for address in whole.ray_metrics():
            text += httpx.get(f"http://{address}/metrics", trust_env=False).raise_for_status().text
        return asked - {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()}

    # Ray's processes report their figures every few seconds
    watch.until(lambda: not missing())


def test_a_flood_is_refused_and_nothing_that_was_accepted_is_lost(whole: WholeService, trained: str) -> None:
    watch = Watch(whole, "flood")
    batches = []
    for number in range(40):
        rows = watch.batch(visits(2000, number))
        batches.append("\n".join(json.dumps({name: row[name] for name in row if name != "y"}) for row in rows))

    def send(body: str) -> httpx.Response:
        with httpx.Client(base_url=str(whole.http.base_url), timeout=120) as http:
            return http.post(f"{watch.path}/predictions", content=body, headers=NDJSON)

    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(send, batches))
    assert {answer.status_code for answer in answers} <= {200, 429}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused, "40 batches at once are more than the service reads at once"
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    kept = sum(answer.json()["accepted"] for answer in answers if answer.status_code == 200)
    assert watch.report()["inflow"]["predictions"] == kept > 0


def test_a_body_that_is_cut_off_leaves_nothing(whole: WholeService, trained: str) -> None:
    watch = Watch(whole, "cut")
    rows = [{name: row[name] for name in row if name != "y"} for row in watch.batch(visits(100, 1))]
    body = "\n".join(json.dumps(row) for row in rows).encode()
    head = f"POST {watch.path}/predictions HTTP/1.1\r\nHost: 127.0.0.1:{whole.port}\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", whole.port)) as connection:
        connection.sendall(head.encode() + b"Content-Type: application/x-ndjson\r\n\r\n" + body[: len(body) // 2])
    assert watch.report()["inflow"]["predictions"] == 0
    assert watch.post("predictions", rows).json()["accepted"] == 100
    assert watch.report()["inflow"]["predictions"] == 100
