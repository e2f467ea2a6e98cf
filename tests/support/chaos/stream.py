"""Callers: jobs of several kinds, posted without pause, each asked for again until it is accepted."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

GERMAN = {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"}
QUICK = {"family": "sklearn", "estimator": "logistic_regression"}
MODELS = 4
PAUSE_S = 0.25
RETRIES = 100
ASK_AGAIN = {429, 500, 502, 503, 504}
"""What a caller asks again after. 500 is what Serve's proxy says when a replica dies under a request."""


def may_pass(answer: httpx.Response) -> bool:
    """Whether to ask again. Serve's proxy answers 404 in plain text while it does not know the application yet."""
    from_serve = answer.status_code == 404 and not answer.headers["content-type"].startswith("application/")
    return from_serve or answer.status_code in ASK_AGAIN


@dataclass
class Stream:
    """One caller in a thread.

    Args:
        url: of the service.
        seed: draws the jobs.
    """

    url: str
    seed: int
    accepted: dict[str, str] = field(default_factory=dict)
    """Kind by id: train, cancel (train, and somebody cancels it) or evaluate."""
    answers: Counter[str] = field(default_factory=Counter)
    """What the caller was told, by status or by exception."""
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _number: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._http = httpx.Client(base_url=self.url, timeout=30)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to post."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends; the job that is being posted is still accepted first."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Ends for good."""
        self.stop()
        self._http.close()

    def post(self, kind: str, path: str, body: dict[str, Any]) -> str:
        """The id of the job, once the service has said that it has it."""
        self._number += 1
        key = f"chaos-{self.seed}-{self._number}"
        while True:
            answer = self._answer("POST", path, json=body, headers={"Idempotency-Key": key})
            if answer is not None and answer.status_code in {200, 202}:
                job_id = answer.headers["location"].rpartition("/")[2]
                if self.accepted.setdefault(job_id, kind) != kind:
                    self.wrong.append(f"{key} was answered with the job of another key")
                return job_id
            if answer is not None and not may_pass(answer):
                self.wrong.append(f"{kind} {key}: {answer.status_code} {answer.text[:300]}")
                return ""
            time.sleep(PAUSE_S)

    def train(
        self, kind: str = "train", model: dict[str, Any] | None = None, name: str | None = None, workers: int = 1
    ) -> str:
        """A job that trains."""
        return self.post(kind, "/api/v1/train", {
            "resources": {"num_workers": workers},
            "name": name or f"chaos-{self._random.randrange(MODELS)}", "data": GERMAN, "model": model or QUICK,
            "evaluation": {"bootstrap_samples": 50}, "max_retries": RETRIES,
            "promotion": {"policy": self._random.choice(["if_better", "always"])},
            "split": {"seed": self._random.randrange(1000)},
        })  # fmt: skip

    def _run(self) -> None:
        while not self._stop.is_set():
            drawn = self._random.random()
            if drawn < 0.15:
                body = {"model": {"name": "chaos-base"}, "data": {"source": GERMAN["source"]}, "bootstrap_samples": 50}
                self.post("evaluate", "/api/v1/evaluate?wait_s=0", body)
            elif drawn < 0.3:
                self._cancel(self.train("cancel", self._slow()))
            elif drawn < 0.33:
                self.train(model=self._slow(), workers=2)
            else:
                self.train(model=self._slow() if drawn < 0.5 else QUICK)
            self._stop.wait(self._random.uniform(0, 0.6))

    def _slow(self) -> dict[str, Any]:
        rounds = self._random.randrange(300, 3000)
        params = {"n_estimators": rounds, "learning_rate": 1e-3, "early_stopping_rounds": 0}
        return {"family": "xgboost", "params": params}

    def _cancel(self, job_id: str) -> None:
        self._stop.wait(self._random.uniform(0, 1.5))
        while job_id:
            answer = self._answer("POST", f"/api/v1/jobs/{job_id}/cancel")
            if answer is not None and not may_pass(answer):
                return
            time.sleep(PAUSE_S)

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            self.answers[type(error).__name__] += 1
            return None
        self.answers[str(answer.status_code)] += 1
        return answer
