"""What must hold after every fault. Each check answers what does not hold, in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chaos.patient import Reader
from training.mts_scoring.model import ModelFileError, ScoringModel
from training.registry.packaging import MODEL_PATH

FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}
NEXT = {
    "PENDING": {"RUNNING", "CANCELLED", "FAILED", "PENDING"},
    "RUNNING": {"PENDING", *FINAL, "RUNNING"},
}
OPEN_RUNS = """
    SELECT runs.run_uuid, tags.value FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
    WHERE tags.key = 'job_id' AND runs.status = 'RUNNING'
"""
SETTLE_S = 30.0
"""For what is cleaned up after a job is over."""


@dataclass
class Promises:
    """Remembers what it saw, because what is final must never change."""

    reader: Reader
    home: Path
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Jobs that were seen final."""
    others: set[str] = field(default_factory=set)
    """Jobs that were there before, and are somebody else's."""
    champions: dict[str, str] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)

    def broken(self, accepted: dict[str, str]) -> list[str]:
        """All that does not hold now. Called when every accepted job is over."""
        found_jobs = {job["id"]: job for job in self.reader.pages("/api/v1/jobs")}
        stored = {job_id: job for job_id, job in found_jobs.items() if job_id not in self.others}
        over = {job_id: job for job_id, job in stored.items() if job["status"] in FINAL}
        versions = {key: version for key, version in self._versions().items() if version["job_id"] in stored}
        found = [
            *self._lost(accepted, stored),
            *self._changed(stored),
            *(line for job_id, job in over.items() if job_id not in self.jobs for line in self._life(job)),
            *self._registered(stored, versions),
            *self._champions(versions),
            *self._left_over(stored),
        ]
        self.jobs.update({job_id: _fixed(job) for job_id, job in over.items()})
        return found

    def _lost(self, accepted: dict[str, str], stored: dict[str, Any]) -> Iterator[str]:
        for job_id, kind in accepted.items():
            job = stored.get(job_id)
            if job is None:
                yield f"lost: {job_id} was accepted and is not there"
            elif job["status"] not in FINAL:
                yield f"not over: {job_id} is {job['status']}"
            elif job["status"] != "SUCCEEDED" and not (kind == "cancel" and job["status"] == "CANCELLED"):
                yield f"{kind} {job_id} is {job['status']}: {job['error']}"
        for job_id in stored.keys() - accepted.keys():
            yield f"made up: nobody was told of {job_id}"

    def _changed(self, stored: dict[str, Any]) -> Iterator[str]:
        for job_id, before in self.jobs.items():
            if job_id in stored and _fixed(stored[job_id]) != before:
                yield f"changed after it was final: {job_id}"

    def _life(self, job: dict[str, Any]) -> Iterator[str]:
        events = self.reader.events(job["id"])
        if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
            yield f"event numbers of {job['id']} have gaps"
        states = [event["status"] for event in events if event["type"] == "state"]
        if not states or states[0] != "PENDING" or states[-1] != job["status"] or events[-1]["type"] != "state":
            yield f"events of {job['id']} do not tell its life: {states}"
        for one, after in pairwise(states):
            if after not in NEXT.get(one, set()):
                yield f"{job['id']} went from {one} to {after}"

    def _versions(self) -> dict[tuple[str, str], dict[str, Any]]:
        names = [model["name"] for model in self.reader.pages("/api/v1/models")]
        found = {}
        for name in names:
            model = self.reader.get(f"/api/v1/models/{name}")
            found |= {(name, version["version"]): version for version in model["versions"]}
        return found

    def _registered(self, stored: dict[str, Any], versions: dict[tuple[str, str], Any]) -> Iterator[str]:
        by_job: dict[str, list[tuple[str, str]]] = {}
        for key, version in versions.items():
            by_job.setdefault(version["job_id"], []).append(key)
        for job in stored.values():
            made = by_job.get(job["id"], [])
            told = (job["result"] or {}).get("model")
            if job["kind"] == "train" and job["status"] == "SUCCEEDED" and made != [(told["name"], told["version"])]:
                yield f"{job['id']} registered {made}, and says {told}"
            elif job["status"] in FINAL - {"SUCCEEDED"} and made:
                yield f"{job['id']} is {job['status']} and has registered {made}"
        for (name, version), info in versions.items():
            yield from self._readable(f"{name}/{version}", info)

    def _readable(self, title: str, info: dict[str, Any]) -> Iterator[str]:
        if title in self.loaded:
            return
        source = urlsplit(info["source"]).path if "source" in info else ""
        try:
            ScoringModel.load(Path(source or self.reader.folder_of(info["run_id"])) / MODEL_PATH)
        except (ModelFileError, OSError) as error:
            yield f"half-written: {title}: {error}"
        self.loaded.add(title)

    def _champions(self, versions: dict[tuple[str, str], Any]) -> Iterator[str]:
        now = {name: number for (name, number), info in versions.items() if "champion" in info["aliases"]}
        for name in self.champions.keys() - now.keys():
            yield f"{name} has lost its champion, version {self.champions[name]}"
        for name, number in now.items():
            gate = versions[name, number].get("gate")
            if gate is not None and gate["decision"] != "promote":
                yield f"version {number} of {name} is the champion against its gate: {gate}"
        self.champions |= now

    def _left_over(self, stored: dict[str, Any]) -> Iterator[str]:
        deadline = time.monotonic() + SETTLE_S
        while (left := [*self._left(stored)]) and time.monotonic() < deadline:
            time.sleep(0.5)
        yield from left

    def _left(self, stored: dict[str, Any]) -> Iterator[str]:
        running = [title for title in self.reader.busy() if title.split(":")[-1].strip() in stored]
        yield from (f"left over: a process {title}" for title in running)
        if self.reader.released():
            yield f"left over: {self.reader.released()} jobs count as handed to Ray"
        yield from (f"left over: placement group {name}" for name in self.reader.reserved())
        checkpoints = self.home / "checkpoints"
        yield from (f"left over: {path}" for path in checkpoints.glob("*") if path.name in stored)
        open_runs = self.reader.registry(OPEN_RUNS)
        yield from (f"left over: run {run_id} of {job_id} is open" for run_id, job_id in open_runs if job_id in stored)
        yield from (f"left over: {path}" for path in self.reader.temporary())


def _fixed(job: dict[str, Any]) -> dict[str, Any]:
    """Without the links, for pages may move while the job does not."""
    return {name: value for name, value in job.items() if name != "links"}
