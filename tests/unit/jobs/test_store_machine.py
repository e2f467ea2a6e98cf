"""The store under any sequence of calls, late and repeated ones included."""

from __future__ import annotations

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ray_app.jobs.model import Job, JobError, JobEvent, JobQuery, JobStatus, Progress
from ray_app.jobs.store import JobStore
from training.errors import ConflictError

ERROR = JobError(type="FitError", message="diverged")


class StoreMachine(RuleBasedStateMachine):
    """Calls methods of one store, and looks after each call at what changed."""

    template: Path
    job_ids = Bundle("job_ids")
    back = st.integers(0, 2)
    """How many attempts late a report comes: 0 is the present one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mts-machine-"))
        shutil.copy(self.template, self.folder / "jobs.db")
        self.store = JobStore(f"sqlite:///{self.folder / 'jobs.db'}")
        self.seen: dict[str, tuple[Job, list[JobEvent]]] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @initialize(target=job_ids)
    def first(self) -> str:
        return self.create(0)

    @rule(target=job_ids, priority=st.integers(-1, 1))
    def create(self, priority: int) -> str:
        return self.store.create("train", "a", {}, priority=priority)[0].id

    @rule(job_id=job_ids)
    def release_and_start(self, job_id: str) -> None:
        try:
            attempt = self.store.assign_attempt(job_id)
        except ConflictError:
            assert self.store.get(job_id).status is not JobStatus.PENDING
            return
        started = self.store.started(job_id, attempt)
        assert started is not None
        assert started.status is JobStatus.RUNNING

    @rule(job_id=job_ids)
    def release(self, job_id: str) -> None:
        try:
            self.store.assign_attempt(job_id)
        except ConflictError:
            assert self.store.get(job_id).status is not JobStatus.PENDING

    @rule(job_id=job_ids, back=back)
    def start(self, job_id: str, back: int) -> None:
        self.store.started(job_id, self.attempt(job_id, back))

    @rule(job_id=job_ids, back=back, fraction=st.floats(), count=st.integers(0, 3))
    def report(self, job_id: str, back: int, fraction: float, count: int) -> None:
        heard = self.store.report(
            job_id, self.attempt(job_id, back), progress=Progress(phase="fit", fraction=fraction),
            events=[("metrics", {"step": step}) for step in range(count)],
        )  # fmt: skip
        assert heard == (back == 0 and self.store.get(job_id).status is JobStatus.RUNNING)

    @rule(job_id=job_ids, back=back)
    def commit(self, job_id: str, back: int) -> None:
        before = self.store.get(job_id)
        granted = self.store.commit(job_id, self.attempt(job_id, back))
        assert granted == (back == 0 and before.status is JobStatus.RUNNING and not before.cancel_requested)

    @rule(job_id=job_ids, back=back)
    def succeed(self, job_id: str, back: int) -> None:
        self.store.succeed(job_id, self.attempt(job_id, back), {"x": 1})

    @rule(job_id=job_ids, back=st.none() | back)
    def fail(self, job_id: str, back: int | None) -> None:
        self.store.fail(job_id, None if back is None else self.attempt(job_id, back), ERROR)

    @rule(job_id=job_ids, back=back, count=st.sampled_from(["user", "platform", "none"]))
    def requeue(self, job_id: str, back: int, count: str) -> None:
        self.store.requeue(job_id, self.attempt(job_id, back), reason="lost", count=count)  # type: ignore[arg-type]

    @rule(job_id=job_ids)
    def request_cancel(self, job_id: str) -> None:
        try:
            self.store.request_cancel(job_id)
        except ConflictError:
            assert self.store.get(job_id).status.final

    @rule(job_id=job_ids, back=back)
    def cancelled(self, job_id: str, back: int) -> None:
        self.store.cancelled(job_id, self.attempt(job_id, back))

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = JobStore(f"sqlite:///{self.folder / 'jobs.db'}")

    @invariant()
    def every_job_lives_a_legal_life(self) -> None:
        jobs = self.store.list(JobQuery(limit=200)).items
        for job in jobs:
            events = list(self.store.events(job.id))
            self.look(job, events)
            self.seen[job.id] = (job, events)
        counts = self.store.counts()
        assert counts == {status: sum(job.status == status for job in jobs) for status in counts}
        assert {job.id for job in self.store.pending(200)} == {job.id for job in jobs if job.status == "PENDING"}

    def look(self, job: Job, events: list[JobEvent]) -> None:
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        states = [
            (event.data["status"], event.data.get("cancel_requested")) for event in events if event.type == "state"
        ]
        assert states[-1][0] == job.status
        assert all(one != next_one for one, next_one in pairwise(states)), "one event a transition"
        assert sum(status in {"SUCCEEDED", "FAILED", "CANCELLED"} for status, _ in states) == job.status.final
        if job.status.final:
            assert events[-1].type == "state"
        before, known = self.seen.get(job.id, (None, []))
        assert events[: len(known)] == known, "what was told stays told"
        if before is not None and before.status.final:
            assert job == before, "a final job never changes"

    def attempt(self, job_id: str, back: int) -> int:
        return self.store.get(job_id).attempt - back


def test_no_sequence_of_calls_breaks_a_job_s_life(sqlite_template: Path) -> None:
    machine = type("Machine", (StoreMachine,), {"template": sqlite_template})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
