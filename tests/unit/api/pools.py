"""Pools over the API in process: jobs are done by the real pipeline, one after the other, when the test says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from ray_app.dispatcher.messages import Assignment, Demand, Place
from ray_app.dispatcher.pipeline_runner import PipelineRunner
from ray_app.jobs.model import JobError, JobQuery
from training.errors import TrainingError
from training.events import SilentObserver

ROWS = [
    {"x": float(index % 17), "z": float(index * 7 % 31), "k": "abc"[index % 3], "customer": f"c{index // 4}"}
    for index in range(160)
]
POOLS = "/api/v1/active-learning/pools"


def truth(row: dict[str, Any]) -> str:
    """What a labeller would say."""
    return "yes" if row["x"] + row["z"] / 4 > 11 else "no"


def pool_spec(name: str, **changes: Any) -> dict[str, Any]:
    """A small pool that works."""
    data = {
        "source": {"type": "inline", "rows": ROWS}, "target": "y", "classes": ["no", "yes"], "exclude": ["customer"],
    } | changes.pop("data", {})  # fmt: skip
    return {
        "name": name, "data": data, "batch_size": 10, "initial_size": 20, "test_size": 20,
        "model": {"family": "sklearn", "estimator": "logistic_regression"},
    } | changes  # fmt: skip


@dataclass(frozen=True)
class Pooled:
    """A pool, and how a labeller works on it."""

    api: Any
    id: str

    @classmethod
    def made(cls, api: Any, spec: dict[str, Any], **options: Any) -> Pooled:
        """A pool whose first rows have been chosen."""
        answer = api.post(POOLS, json=spec, **options)
        assert answer.status_code == 201, answer.text
        pool = cls(api, answer.json()["id"])
        pool.run_jobs()
        return pool

    def run_jobs(self) -> list[str]:
        """Does every job that waits, as a worker does; the kinds of the jobs."""
        done = []
        while True:
            found = self.api.store.list(JobQuery(status=["PENDING"])).items
            if not found:
                return done
            for job in found:
                done.append(job.kind)
                self._run(job)

    def _run(self, job: Any) -> None:
        store = self.api.store
        attempt = store.assign_attempt(job.id)
        store.started(job.id, attempt)
        assignment = Assignment(job.id, attempt, job.kind, job.name, store.get(job.id).spec, Demand())
        try:
            result = PipelineRunner().run(assignment, Place.of(self.api.settings), SilentObserver(), lambda: None)
        except TrainingError as error:
            store.fail(job.id, attempt, JobError(type=type(error).__name__, message=error.message))
        else:
            store.succeed(job.id, attempt, result)
        self.api.jobs.over(job.id)

    def get(self) -> dict[str, Any]:
        """The pool as it is."""
        answer = self.api.get(f"{POOLS}/{self.id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def query(self, labeller: str = "ann", **asked: Any) -> list[dict[str, Any]]:
        """Rows for a labeller."""
        answer = self.api.post(f"{POOLS}/{self.id}/query", json={"labeller": labeller} | asked)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def label(self, labels: list[dict[str, Any]], labeller: str = "ann") -> httpx.Response:
        """Posts labels."""
        body = {"labeller": labeller, "labels": labels}
        answer: httpx.Response = self.api.post(f"{POOLS}/{self.id}/labels", json=body)
        return answer

    def work(self, size: int = 10, labeller: str = "ann") -> list[dict[str, Any]]:
        """Labels one batch by the truth; the rows."""
        items = self.query(labeller, size=size)
        if items:
            answer = self.label([{"id": item["id"], "label": truth(item["cells"])} for item in items], labeller)
            assert answer.status_code == 200, answer.text
        return items

    def train_once(self) -> None:
        """Labels the test set and the first rows, and lets the first model be trained."""
        while self.get()["model"] is None:
            assert self.work(20)
            self.run_jobs()
