"""The store and the controller, with the process gone between any two writes: before one, or right after it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from fake_cluster import HERE, FakeCluster
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from ray.exceptions import WorkerCrashedError

from ray_app.dispatcher.controller import Controller
from ray_app.dispatcher.failures import raised
from ray_app.dispatcher.messages import Assignment, Broken, Done, Outcome, Report, Stopped, TaskEnd
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import Job, JobQuery, Progress
from ray_app.jobs.store import JobStore
from training.errors import ConflictError, DataError

OUTCOMES: dict[str, Outcome] = {"done": Done({"x": 1}), "broken": Broken(raised(DataError("no"))), "stopped": Stopped()}
REPORT = Report(Progress(phase="fit"), (("metrics", {"step": 1}),))
MANY_STEPS = 60


class CrashError(BaseException):
    """The process is gone."""


class CountedIds:
    """The same ids in each run: the pause before a retry is drawn by the id."""

    def __init__(self) -> None:
        self.count = 0

    def new(self, now: datetime) -> str:
        self.count += 1
        return f"job_{self.count:026d}"


class CrashMachine(RuleBasedStateMachine):
    """Calls of callers and of workers, old ones too, and crashes that come at the next write or some writes later."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mts-crash-"))
        shutil.copy(self.template, self.folder / "jobs.db")
        self.ids = CountedIds()
        self.seconds = 0.0
        self.writes_left: int | None = None
        self.after = False
        self.accepted: dict[str, str] = {}
        self.committed: dict[str, int] = {}
        self.registered: dict[str, int] = {}
        """The attempt that has made the version of a job."""
        self.finals: dict[str, Job] = {}
        self.tasks: list[Assignment] = []
        self.store = self.opened()
        self.controller = self.made()

    def teardown(self) -> None:
        self.writes_left = None
        self.every_job_comes_to_an_end()
        self.store.close()
        shutil.rmtree(self.folder)

    # the process, and its end

    def opened(self) -> JobStore:
        store = JobStore(f"sqlite:///{self.folder / 'jobs.db'}", clock=self.now)
        store._ids = self.ids  # type: ignore[assignment]
        write = store._database.write

        def perilous(work: Callable[[Any], Any], **options: Any) -> Any:
            if self.writes_left is None:
                return write(work, **options)
            self.writes_left -= 1
            if self.writes_left > 0:
                return write(work, **options)
            self.writes_left = None
            if self.after:
                write(work, **options)
            raise CrashError

        store._database.write = perilous  # type: ignore[method-assign]
        return store

    def made(self) -> Controller:
        self.cluster = FakeCluster()
        return Controller(
            self.store, self.cluster, JobLogs(self.folder / "logs"), release_ahead=1, changed=lambda *_: None,
            clock=lambda: self.seconds, now=self.now,
        )  # fmt: skip

    def now(self) -> datetime:
        return datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def do(self, call: Callable[[], Any]) -> Any:
        """Calls; where that ends the process, a new one reads the store, and may end as well."""
        answer = None
        try:
            answer = call()
        except CrashError:
            while not self.is_up_again():
                event("ended again while it started")
        self.tasks += [task for task in self.cluster.submitted if task not in self.tasks]
        return answer

    def is_up_again(self) -> bool:
        self.store.close()
        self.store = self.opened()
        self.controller = self.made()
        try:
            self.controller.reconcile()
        except CrashError:
            return False
        return True

    @rule(writes=st.integers(1, 4), after=st.booleans())
    def the_process_will_end(self, writes: int, after: bool) -> None:
        self.writes_left, self.after = writes, after

    # callers

    @rule(retries=st.integers(0, 2))
    def submit(self, retries: int) -> None:
        key = f"key-{len(self.accepted)}"
        told = self.do(lambda: self.controller.submit("train", {"name": "a", "max_retries": retries}, key))
        # who heard nothing asks again, with the same key
        job, _ = told or self.controller.submit("train", {"name": "a", "max_retries": retries}, key)
        self.accepted[job.id] = key

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.accepted)))
        try:
            self.do(lambda: self.controller.cancel(job_id))
        except ConflictError:
            assert self.store.get(job_id).status.final

    @rule(after_s=st.sampled_from([0.0, 1.0, 40.0]))
    def step(self, after_s: float) -> None:
        self.seconds += after_s
        self.do(self.controller.step)

    # workers, those of dispatchers that are gone too

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.tasks))
        self.do(lambda: self.controller.attempts.begin(task.job_id, task.attempt, HERE))

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.tasks))
        self.do(lambda: self.controller.attempts.report(task.job_id, task.attempt, REPORT))

    @precondition(lambda self: self.tasks)
    @rule(data=st.data(), registers=st.booleans())
    def commit(self, data: st.DataObject, registers: bool) -> None:
        task = data.draw(st.sampled_from(self.tasks))
        if self.do(lambda: self.controller.attempts.may_commit(task.job_id, task.attempt)):
            job = self.store.get(task.job_id)
            assert (job.status, job.attempt) == ("RUNNING", task.attempt), "only the present attempt may register"
            assert self.committed.get(task.job_id, 0) <= task.attempt, "an older attempt never after a newer one"
            self.committed[task.job_id] = task.attempt
            if registers:
                self.registered.setdefault(task.job_id, task.attempt)

    @precondition(lambda self: self.tasks)
    @rule(data=st.data(), how=st.sampled_from(sorted(OUTCOMES)))
    def finish(self, data: st.DataObject, how: str) -> None:
        task = data.draw(st.sampled_from(self.tasks))
        self.do(lambda: self.controller.attempts.finish(task.job_id, task.attempt, self.outcome(task, how), REPORT))

    @precondition(lambda self: self.tasks)
    @rule(data=st.data(), dead=st.booleans())
    def task_ends(self, data: st.DataObject, dead: bool) -> None:
        task = data.draw(st.sampled_from(self.tasks))
        error = WorkerCrashedError() if dead else None
        self.do(lambda: self.controller.task_ended(TaskEnd(task.job_id, task.attempt, error)))

    def outcome(self, task: Assignment, how: str) -> Outcome:
        """Who comes after an attempt that has registered finds the version first."""
        if how == "stopped" and self.registered.get(task.job_id, task.attempt) < task.attempt:
            return OUTCOMES["done"]
        return OUTCOMES["stopped" if task.only_look and task.job_id not in self.registered else how]

    # what must hold

    @invariant()
    def what_was_accepted_is_there_and_what_is_final_stays(self) -> None:
        jobs = {job.id: job for job in self.store.list(JobQuery(limit=200)).items}
        assert set(self.accepted) <= set(jobs), "nothing accepted is lost"
        assert len(self.accepted) == len(set(self.accepted.values())), "no key has two jobs"
        for job_id, job in jobs.items():
            assert self.finals.get(job_id, job) == job, "a final job never changes"
            if job.status.final:
                self.finals[job_id] = job
            assert job.status != "CANCELLED" or job_id not in self.registered, "what is cancelled has no version"
            events = self.store.events(job_id)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            states = [event.data["status"] for event in events if event.type == "state"]
            assert states[-1] == job.status
            assert ("PENDING", "SUCCEEDED") not in pairwise(states), "what did not run has no result"

    def every_job_comes_to_an_end(self) -> None:
        for _ in range(MANY_STEPS):
            self.seconds += 60.0
            self.controller.step()
            for task in self.cluster.submitted:
                if self.controller.attempts.begin(task.job_id, task.attempt, HERE):
                    self.controller.attempts.finish(task.job_id, task.attempt, self.outcome(task, "done"), REPORT)
                else:
                    self.controller.task_ended(TaskEnd(task.job_id, task.attempt, None))
            self.cluster.submitted.clear()
            if all(self.store.get(job_id).status.final for job_id in self.accepted):
                return
        raise AssertionError([self.store.get(job_id).status for job_id in self.accepted])


def test_no_crash_between_two_writes_loses_a_job_or_does_one_twice(sqlite_template: Path) -> None:
    machine = type("Machine", (CrashMachine,), {"template": sqlite_template})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )  # fmt: skip
