"""What a job store promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from job_stores import ERROR, NO_SUCH_JOB, Clock, new_job, running_job, states_of

from ray_app.jobs.life import FailureCounts
from ray_app.jobs.model import Job, JobQuery, JobStatus, Progress
from ray_app.jobs.store import JobStore
from ray_app.jobs.writes import DENSE_EVENTS, THINNING
from training.errors import ConflictError, NotFoundError, SpecError


class TestCreate:
    def test_a_job_reads_back_as_it_was_given(self, store: JobStore, clock: Clock) -> None:
        spec = {"name": "größe-日本", "z": 1, "a": [1.5, None, {"ключ": "\u0000 and \\"}]}
        job, new = store.create("evaluate", "größe", spec, priority=-3, tags={"team": "risk"}, retry_of=NO_SUCH_JOB)
        assert new
        assert store.get(job.id) == job
        assert job.spec == spec
        assert list(job.spec) == list(spec), "the order of the fields is the caller's"
        assert (job.kind, job.name, job.priority, job.tags, job.retry_of) == (
            "evaluate", "größe", -3, {"team": "risk"}, NO_SUCH_JOB,
        )  # fmt: skip
        assert (job.status, job.attempt, job.created_at) == (JobStatus.PENDING, 0, clock.now)
        assert [(event.seq, event.type, event.data["status"]) for event in store.events(job.id)] == [
            (1, "state", "PENDING")
        ]

    def test_the_same_key_and_spec_answer_the_same_job(self, store: JobStore) -> None:
        first, new = store.create("train", "credit", {"name": "credit", "seed": 1}, idempotency_key="k")
        again, new_again = store.create("train", "credit", {"seed": 1, "name": "credit"}, idempotency_key="k")
        assert (new, new_again) == (True, False)
        assert again == first
        assert store.counts()["PENDING"] == 1

    @pytest.mark.parametrize(("kind", "seed"), [("train", 2), ("evaluate", 1)])
    def test_the_same_key_with_another_request_is_a_conflict(self, store: JobStore, kind: Any, seed: int) -> None:
        first, _ = store.create("train", "credit", {"seed": 1}, idempotency_key="k")
        with pytest.raises(ConflictError, match=first.id):
            store.create(kind, "credit", {"seed": seed}, idempotency_key="k")
        assert store.counts()["PENDING"] == 1

    def test_without_a_key_equal_specs_are_two_jobs(self, store: JobStore) -> None:
        assert new_job(store).id != new_job(store).id

    @pytest.mark.parametrize(
        ("tags", "field"),
        [
            ({"team": "x" * 201}, "tags.team"),
            ({"t" * 101: "x"}, "tags." + "t" * 101),
            ({"a=b": "x"}, "tags.a=b"),
            ({"": "x"}, "tags."),
            ({"team": "a\0b"}, "tags.team"),
            ({"team": "\ud800"}, "tags.team"),
            ({f"t{n}": "x" for n in range(65)}, "tags"),
        ],
    )
    def test_a_tag_that_cannot_be_looked_up_is_refused(
        self, store: JobStore, tags: dict[str, str], field: str
    ) -> None:  # fmt: skip
        with pytest.raises(SpecError) as caught:
            new_job(store, tags=tags)
        assert caught.value.problems[0].field == field
        assert store.list(JobQuery()).items == []

    @pytest.mark.parametrize("key", ["k" * 201, "a\0b", "a\nb"])
    def test_a_key_that_cannot_be_stored_is_refused(self, store: JobStore, key: str) -> None:
        with pytest.raises(SpecError, match="Idempotency-Key"):
            new_job(store, idempotency_key=key)


class TestAdd:
    def test_one_write_stores_what_can_be_stored(self, store: JobStore) -> None:
        earlier, _ = store.create("train", "credit", {"seed": 1}, idempotency_key="k")
        asked = [("first", 1, None), ("credit", 1, "k"), ("credit", 2, "k"), ("last", 1, "n"), ("last", 1, "n")]
        drafts = [store.draft("train", name, {"seed": seed}, idempotency_key=key) for name, seed, key in asked]
        first, same, other, last, twin = store.add(drafts)
        assert isinstance(other, ConflictError)
        assert earlier.id in other.message
        assert same == (earlier, False)
        assert not isinstance(first, ConflictError)
        assert not isinstance(last, ConflictError)
        assert (first[0].id, last[0].id) == (drafts[0].id, drafts[3].id)
        assert twin == (last[0], False)
        assert [job.id for job in store.list(JobQuery()).items] == [drafts[3].id, drafts[0].id, earlier.id]
        assert store.get(drafts[0].id) == first[0]
        assert [event.type for event in store.events(drafts[3].id)] == ["state"]

    def test_a_write_that_is_repeated_stores_nothing_twice(self, store: JobStore) -> None:
        drafts = [store.draft("train", "credit", {"seed": seed}) for seed in range(2)]
        assert store.add(drafts) == store.add(drafts)
        assert store.counts()["PENDING"] == 2

    def test_nothing_to_store(self, store: JobStore) -> None:
        assert store.add([]) == []


class TestLife:
    def test_a_job_that_succeeds(self, store: JobStore, clock: Clock) -> None:
        created = clock.now
        job_id = new_job(store).id
        clock.advance(1)
        attempt = store.assign_attempt(job_id)
        started = store.started(job_id, attempt)
        assert started is not None
        assert (started.status, started.attempt, started.started_at) == (JobStatus.RUNNING, 1, clock.now)
        clock.advance(10)
        at = Progress(phase="fit", fraction=0.4, eta_s=12.0, metrics={"validation/log_loss": 0.51})
        assert store.report(job_id, 1, progress=at, events=[("phase", {"phase": "fit"})], links={"ray": "r"})
        assert store.get(job_id).progress == at
        clock.advance(10)
        done = store.succeed(job_id, 1, {"metrics": {"roc_auc": 0.79}}, {"mlflow": "m"})
        assert done is not None
        assert done == store.get(job_id)
        assert (done.status, done.result, done.error) == (JobStatus.SUCCEEDED, {"metrics": {"roc_auc": 0.79}}, None)
        assert done.links == {"ray": "r", "mlflow": "m"}
        assert (done.created_at, done.finished_at) == (created, clock.now)
        assert done.progress == Progress(phase="done", fraction=1.0, metrics=at.metrics)
        assert [(event.seq, event.type) for event in store.events(job_id)] == [
            (1, "state"), (2, "state"), (3, "phase"), (4, "state"),
        ]  # fmt: skip

    def test_the_last_event_of_a_failed_job_says_so_and_why(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)
        failed = store.fail(job_id, attempt, ERROR)
        assert failed is not None
        assert (failed.status, failed.error) == (JobStatus.FAILED, ERROR)
        last = store.events(job_id)[-1]
        assert (last.type, last.data["status"], last.data["error"]["message"]) == ("state", "FAILED", ERROR.message)

    def test_a_pending_job_can_be_given_up(self, store: JobStore) -> None:
        job_id = new_job(store).id
        assert store.fail(job_id, None, ERROR) is not None
        assert states_of(store, job_id) == ["PENDING", "FAILED"]

    def test_a_requeued_job_runs_again_under_a_new_attempt(self, store: JobStore, clock: Clock) -> None:
        job_id, first = running_job(store)
        started_at = clock.now
        clock.advance(5)
        again = store.requeue(job_id, first, reason="the node went away", count="platform")
        assert again is not None
        assert (again.status, again.progress.message) == (JobStatus.PENDING, "the node went away")
        assert store.failures(job_id) == FailureCounts(platform=1)
        second = store.assign_attempt(job_id)
        running = store.started(job_id, second)
        assert running is not None
        assert (second, running.attempt, running.started_at) == (2, 2, started_at)
        assert states_of(store, job_id) == ["PENDING", "RUNNING", "PENDING", "RUNNING"]

    def test_failures_are_counted_apart(self, store: JobStore) -> None:
        job_id = new_job(store).id
        for count in ("user", "user", "platform", "none"):
            assert store.requeue(job_id, store.assign_attempt(job_id), reason="r", count=count) is not None
        assert store.failures(job_id) == FailureCounts(user=2, platform=1, interruptions=1)

    def test_a_waiting_job_says_why(self, store: JobStore) -> None:
        job_id = new_job(store).id
        assert store.waiting(job_id, "waits for 8 CPUs")
        assert store.waiting(job_id, "waits for 8 CPUs")
        assert store.get(job_id).progress.message == "waits for 8 CPUs"
        assert store.events(job_id)[-1].data["message"] == "waits for 8 CPUs"
        store.started(job_id, store.assign_attempt(job_id))
        assert not store.waiting(job_id, "waits")
        assert store.get(job_id).progress.message is None

    def test_a_fit_that_diverges_leaves_a_job_that_can_be_read(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)
        bad = Progress(phase="fit", fraction=math.nan, eta_s=math.inf, metrics={"loss": math.nan, "step": 3.0})
        assert store.report(job_id, attempt, progress=bad, events=[("metrics", {"loss": math.inf})])
        assert store.get(job_id).progress == Progress(phase="fit", metrics={"step": 3.0})
        assert store.events(job_id)[-1].data == {"loss": None}
        done = store.succeed(job_id, attempt, {"metrics": {"r2": math.nan}})
        assert done is not None
        assert done.result == {"metrics": {"r2": None}}


class TestCancel:
    def test_a_pending_job_is_cancelled_at_once(self, store: JobStore) -> None:
        job_id = new_job(store).id
        attempt = store.assign_attempt(job_id)
        assert store.request_cancel(job_id).status is JobStatus.CANCELLED
        assert store.started(job_id, attempt) is None, "the process that comes later must not do it"
        with pytest.raises(ConflictError, match="CANCELLED"):
            store.assign_attempt(job_id)

    def test_a_running_job_is_asked_to_stop(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)
        asked = store.request_cancel(job_id)
        assert (asked.status, asked.cancel_requested) == (JobStatus.RUNNING, True)
        assert store.request_cancel(job_id) == asked
        stopped = store.cancelled(job_id, attempt)
        assert stopped is not None
        assert stopped.status is JobStatus.CANCELLED
        assert states_of(store, job_id) == ["PENDING", "RUNNING", "RUNNING", "CANCELLED"]

    def test_a_job_that_was_asked_to_stop_is_not_requeued(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)
        store.request_cancel(job_id)
        after = store.requeue(job_id, attempt, reason="the worker died", count="user")
        assert after is not None
        assert after.status is JobStatus.CANCELLED

    @pytest.mark.parametrize("end", ["succeed", "fail", "cancel"])
    def test_a_final_job_cannot_be_cancelled(self, store: JobStore, end: str) -> None:
        job_id, attempt = running_job(store)
        final = END[end](store, job_id, attempt)
        assert final is not None
        with pytest.raises(ConflictError, match=final.status):
            store.request_cancel(job_id)
        assert store.get(job_id) == final


END: dict[str, Callable[[JobStore, str, int], Job | None]] = {
    "succeed": lambda store, job_id, attempt: store.succeed(job_id, attempt, {"x": 1}),
    "fail": lambda store, job_id, attempt: store.fail(job_id, attempt, ERROR),
    "cancel": lambda store, job_id, attempt: store.cancelled(job_id, attempt),
}
LATE: dict[str, Callable[[JobStore, str, int], object]] = END | {
    "started": lambda store, job_id, attempt: store.started(job_id, attempt),
    "requeue": lambda store, job_id, attempt: store.requeue(job_id, attempt, reason="r", count="user"),
    "report": lambda store, job_id, attempt: store.report(job_id, attempt, events=[("phase", {"phase": "fit"})]),
}


class TestFencing:
    @pytest.mark.parametrize("late", LATE)
    def test_a_process_that_was_given_up_for_lost_changes_nothing(self, store: JobStore, late: str) -> None:
        job_id, lost = running_job(store)
        store.requeue(job_id, lost, reason="lost", count="platform")
        for step in (lambda: None, lambda: store.assign_attempt(job_id), lambda: store.started(job_id, 2)):
            step()
            before, events = store.get(job_id), store.events(job_id)
            assert not LATE[late](store, job_id, lost)
            assert (store.get(job_id), store.events(job_id)) == (before, events)

    @pytest.mark.parametrize("end", END)
    @pytest.mark.parametrize("late", LATE)
    def test_nothing_changes_a_final_job(self, store: JobStore, end: str, late: str) -> None:
        job_id, attempt = running_job(store)
        final = END[end](store, job_id, attempt)
        events = store.events(job_id)
        answer = LATE[late](store, job_id, attempt)
        assert answer == (final if late == end else answer)
        assert bool(answer) == (late == end), "the same report twice is the same as once; another is refused"
        assert (store.get(job_id), store.events(job_id)) == (final, events)

    def test_a_start_reported_twice_is_one_start(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)
        assert store.started(job_id, attempt) == store.get(job_id)
        assert states_of(store, job_id) == ["PENDING", "RUNNING"]

    def test_only_a_running_attempt_reports_or_succeeds(self, store: JobStore) -> None:
        job_id = new_job(store).id
        attempt = store.assign_attempt(job_id)
        assert not store.report(job_id, attempt, progress=Progress(phase="fit"))
        assert store.succeed(job_id, attempt, {}) is None

    def test_a_running_job_cannot_be_released_again(self, store: JobStore) -> None:
        job_id, _ = running_job(store)
        with pytest.raises(ConflictError, match="RUNNING"):
            store.assign_attempt(job_id)


class TestEvents:
    def test_from_where_a_follower_was(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)
        store.report(job_id, attempt, events=[("metrics", {"step": step}) for step in range(10)])
        assert [event.seq for event in store.events(job_id, after=4, limit=3)] == [5, 6, 7]
        assert store.events(job_id, after=12) == []

    def test_state_events_are_the_store_s_own(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)
        with pytest.raises(ValueError, match="state events"):
            store.report(job_id, attempt, events=[("state", {"status": "SUCCEEDED"})])

    def test_a_chatty_job_keeps_its_first_events_and_then_ever_fewer(self, store: JobStore, clock: Clock) -> None:
        job_id, attempt = running_job(store)
        clock.advance(1000)
        flood = [("metrics", {"step": step}) for step in range(2 * DENSE_EVENTS)]
        store.report(job_id, attempt, events=[*flood, ("phase", {"phase": "evaluate"})])
        events = store.events(job_id, limit=10**6)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert DENSE_EVENTS <= len(events) <= DENSE_EVENTS + 2
        assert events[-1].data == {"phase": "evaluate"}, "phases are always kept"

        store.report(job_id, attempt, progress=Progress(phase="fit", fraction=0.5), events=[("progress", {"n": 1})])
        assert store.events(job_id, after=events[-1].seq) == []
        assert store.get(job_id).progress.fraction == 0.5, "the job itself shows the newest progress"
        clock.advance(1000 / THINNING * 2)
        store.report(job_id, attempt, events=[("progress", {"n": 2}), ("progress", {"n": 3})])
        assert [event.data for event in store.events(job_id, after=events[-1].seq)] == [{"n": 3}]


@pytest.mark.parametrize("job_id", [NO_SUCH_JOB, "", "x", "../../etc/passwd", "job_" + "\0" * 26, "j" * 5000])
def test_every_method_names_an_unknown_job(store: JobStore, job_id: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.get(job_id),
        lambda: store.request_cancel(job_id),
        lambda: store.events(job_id),
        lambda: store.failures(job_id),
        lambda: store.assign_attempt(job_id),
        lambda: store.waiting(job_id, "m"),
        lambda: store.fail(job_id, None, ERROR),
        *(lambda call=call: call(store, job_id, 1) for call in LATE.values()),
    ]
    for call in calls:
        with pytest.raises(NotFoundError) as caught:
            call()
        assert caught.value.problems[0].field == "job_id"


def test_what_was_answered_is_there_after_reopening(store: JobStore, store_url: str) -> None:
    job_id, attempt = running_job(store, tags={"team": "risk"}, idempotency_key="k")
    store.report(job_id, attempt, progress=Progress(phase="fit", fraction=0.25))
    job, events = store.get(job_id), store.events(job_id)
    store.close()
    with JobStore(store_url) as reopened:
        assert reopened.get(job_id) == job
        assert reopened.events(job_id) == events
        assert reopened.running() == [job]


class TestThreads:
    def test_equal_keys_at_once_are_one_job(self, store: JobStore) -> None:
        barrier = threading.Barrier(8)

        def create(_: int) -> tuple[Job, bool]:
            barrier.wait()
            return store.create("train", "credit", {"seed": 1}, idempotency_key="k")

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(create, range(8)))
        assert len({job.id for job, _ in answers}) == 1
        assert [new for _, new in answers].count(True) == 1
        assert store.counts()["PENDING"] == 1

    def test_reports_from_many_threads_are_numbered_without_gaps(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)

        def report(thread: int) -> None:
            for step in range(10):
                assert store.report(job_id, attempt, events=[("metrics", {"thread": thread, "step": step})])

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(report, range(6)))
        events = store.events(job_id)
        assert [event.seq for event in events] == list(range(1, 63))
        for thread in range(6):
            steps = [event.data["step"] for event in events if event.data.get("thread") == thread]
            assert steps == list(range(10))

    def test_of_several_ends_at_once_one_holds(self, store: JobStore) -> None:
        for _ in range(5):
            job_id, attempt = running_job(store)
            barrier = threading.Barrier(3)

            def end(name: str, job_id: str = job_id, attempt: int = attempt, barrier: Any = barrier) -> Job | None:
                barrier.wait()
                return END[name](store, job_id, attempt)

            with ThreadPoolExecutor(3) as threads:
                answers = list(threads.map(end, END))
            assert [answer is not None for answer in answers].count(True) == 1
            assert len(states_of(store, job_id)) == 3
