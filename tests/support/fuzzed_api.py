"""The application over a real store and registry behind a real HTTP server, for generated requests.

`python -m fuzzed_api --cases 10000` is the long run; a short one is in the suite.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml
from api_cases import Cases, served

from ray_app.api.app import create_app
from ray_app.jobs.model import Job, JobError
from ray_app.services.assembly import assemble, workplace_of
from ray_app.services.keys import Role, new_key
from ray_app.settings import Settings
from tests.unit.api.store_jobs import StoreJobs, StoreMonitors
from training.events import SilentObserver
from training.pipeline import run
from training.spec import TrainSpec, parse_spec

ROOT = Path(__file__).parents[2]
SPEC: dict[str, Any] = {
    "name": "toy",
    "data": {"source": {"type": "file", "uri": "data/german_credit.csv"}, "target": "creditability"},
    "model": {"family": "sklearn", "estimator": "logistic_regression"},
    "evaluation": {"bootstrap_samples": 20},
}
ROUND = 10
"""Requests of each kind to an operation, before the next one has its turn."""


@contextmanager
def fuzzed(folder: Path, *, start: int = 0) -> Iterator[Cases]:
    """Cases against an application with two versions of a model, three jobs and a caller of each right."""
    (folder / "data").mkdir()
    shutil.copy(ROOT / "examples/data/german_credit.csv", folder / "data")
    key, record = new_key("fuzz", Role.ADMIN)
    (folder / "keys.yaml").write_text(yaml.safe_dump({"keys": [record.model_dump(mode="json")]}))
    settings = Settings(
        _env_file=None, home=folder / "home", base=folder, data_roots=(str(folder / "data"),),
        api_keys_file=folder / "keys.yaml",
    )  # fmt: skip
    for number in range(2):
        run(parse_spec(TrainSpec, SPEC), workplace_of(settings), SilentObserver(), job_id=f"job_{number:026d}")
    jobs = StoreJobs(f"sqlite:///{folder / 'jobs.db'}")
    jobs.on_submit = lambda job: _end(jobs, job)
    app = create_app(assemble(jobs, settings, pools=jobs.pools, monitors=StoreMonitors(jobs)), settings)
    headers = {"Authorization": f"Bearer {key}"}
    with served(app) as url, httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        ids = [http.post("/api/v1/train", json=SPEC).raise_for_status().json()["id"] for _ in range(3)]
        known = {"job_id": ids, "name": ["toy"], "version": ["1", "2", "3"]}
        yield Cases(url, http.get("/openapi.json").json(), known, SPEC["data"], start=start, headers=headers)
    jobs.store.close()


def _end(jobs: StoreJobs, job: Job) -> None:
    """Ends the job at once, so that no request waits for it."""
    attempt = jobs.store.assign_attempt(job.id)
    jobs.store.started(job.id, attempt)
    jobs.store.fail(job.id, attempt, JobError(type="FitError", message="ended by the test"))


def ask(cases: Cases, wanted: int) -> None:
    """Sends so many requests, or as many as there is time for."""
    with suppress(KeyboardInterrupt):
        while cases.answers.total() < wanted:
            cases.run(ROUND)


def main() -> int:
    """Prints what was answered, and what was wrong."""
    parser = argparse.ArgumentParser(prog="fuzzed_api", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mts-fuzz-") as folder, fuzzed(Path(folder), start=options.seed) as cases:
        ask(cases, options.cases)
    for answer, count in sorted(cases.answers.items()):
        print(f"{count:6} {answer}")
    for wrong in cases.wrong:
        print(wrong)
    total = sum(cases.answers.values())
    print(f"{total} cases in {time.monotonic() - started:.0f} s, {len(cases.wrong)} wrong")
    return 1 if cases.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
