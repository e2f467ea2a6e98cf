"""What the processes that run attempts report, and what becomes of their jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ray.exceptions import NodeDiedError

from ray_app.dispatcher.cluster import Cluster
from ray_app.dispatcher.failures import over_budget, task_failed
from ray_app.dispatcher.flights import Flight, Flights
from ray_app.dispatcher.messages import Broken, Done, Outcome, Report, Stopped, TaskEnd, Whereabouts
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import Job
from ray_app.jobs.retry_policy import DEFAULT_RETRIES, INTERRUPTED, UNSETTLED, Failure, GiveUp, Retry, decide
from ray_app.jobs.store import JobStore
from ray_app.jobs.webhooks import WebhookEvent
from training.errors import UnavailableError

logger = logging.getLogger(__name__)

Listener = Callable[[str, Job | None], None]
"""Hears of every change of a job: its id, and the job where its state has changed; None for mere progress."""

Announced = Sequence[tuple[WebhookEvent, Sequence[str]]]
Announce = Callable[[str, dict[str, Any]], Announced]


def nobody_is_told(job_id: str, result: dict[str, Any]) -> Announced:  # noqa: ARG001  # as Announce has them
    """Where there are no webhooks."""
    return ()


@dataclass(frozen=True)
class Attempts:
    """Calls of attempts that are out. All carry the attempt's number; a superseded one changes nothing.

    Args:
        store: where jobs survive.
        cluster: runs the tasks.
        logs: what people read of a job.
        flights: attempts that are out.
        changed: hears of every job that has changed.
        clock: monotonic seconds.
        now: the time of day.
        announce: which webhooks hear of which events of a job that has succeeded.
    """

    store: JobStore
    cluster: Cluster
    logs: JobLogs
    flights: Flights
    changed: Listener
    clock: Callable[[], float]
    now: Callable[[], datetime]
    announce: Announce = nobody_is_told

    def begin(self, job_id: str, attempt: int, where: Whereabouts) -> bool:
        """The process of the attempt asks whether to run."""
        flight = self.flights.find(job_id, attempt)
        job = self.store.started(job_id, attempt) if flight else None
        if flight is None or job is None:
            return False
        now = self.clock()
        if flight.where is None:
            flight.where = where
            self._limit(flight, job, now)
            if job.cancel_requested:
                flight.ask_to_stop(now)
            self.note(job_id, f"attempt {attempt} begins in process {where.pid}, "
                              f"{now - flight.released_at:.3f} s after its release")  # fmt: skip
        self.changed(job_id, job)
        return True

    def report(self, job_id: str, attempt: int, report: Report) -> bool:
        """Keeps a report; the answer says whether to go on."""
        flight = self.flights.find(job_id, attempt)
        if flight is not None:
            flight.waits = report.progress.message is not None
            self._keep(job_id, attempt, report)
        return self.wanted(job_id, attempt)

    def wanted(self, job_id: str, attempt: int) -> bool:
        """Whether the attempt is out and has not been asked to stop."""
        flight = self.flights.find(job_id, attempt)
        return flight is not None and not flight.stop_asked and not flight.interrupted

    def may_commit(self, job_id: str, attempt: int) -> bool:
        """Whether the attempt may register its version now."""
        flight = self.flights.find(job_id, attempt)
        if flight is None or not self.store.commit(job_id, attempt):
            return False
        flight.commit(self.clock())
        return True

    def finish(self, job_id: str, attempt: int, outcome: Outcome, last: Report) -> bool:
        """Stores how the attempt ended; whether the job is over by that. Saying it twice does no harm."""
        self._keep(job_id, attempt, last)
        match outcome:
            case Done(result):
                told = self.announce(job_id, result)
                job = self.store.succeed(
                    job_id, attempt, _with_queue_time(result, self.store.get(job_id)), announced=told
                )
            case Broken(failure):
                job = self.failed(job_id, attempt, failure)
            case Stopped():
                job = self._stopped(job_id, attempt)
        self._over(job_id, attempt, job)
        return job is not None and job.status.final

    def ended(self, end: TaskEnd) -> None:
        """Ray says that the task is over. Where the attempt has finished, the job does not change by that."""
        flight = self.flights.find(end.job_id, end.attempt)
        if flight is not None:
            self._end(flight, end.error)
        elif end.error is not None:
            job = self.store.get(end.job_id)
            if job.started_at is not None:
                # its process said how it ended, and died before it had cleaned up
                self.tidy(job)

    def give_up(self, flight: Flight) -> None:
        """The attempt was killed, and Ray does not say that it is over."""
        self._end(flight, None)

    def lost(self, flight: Flight) -> None:
        """The node of the attempt is dead; where the network to it is cut, Ray says so of its tasks much later."""
        died = NodeDiedError("the node is dead")  # type: ignore[no-untyped-call]  # ray has no annotation here
        self._end(flight, died)

    def tidy(self, job: Job | None) -> None:
        """The process of a job was killed: if there is no next attempt to do it, somebody else cleans up after it."""
        if job is not None and job.status.final and job.kind == "train":
            self.cluster.tidy(job.id, job.name)

    def note(self, job_id: str, text: str) -> None:
        """A line of ours in the job's log."""
        stamp = self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._append(job_id, f"{stamp} dispatcher: {text}\n")

    def _keep(self, job_id: str, attempt: int, report: Report) -> None:
        self._append(job_id, report.log)
        self.store.report(job_id, attempt, progress=report.progress, events=report.events)
        self.changed(job_id, None)

    def _append(self, job_id: str, text: str) -> None:
        try:
            self.logs.append(job_id, text)
        except UnavailableError as error:
            # a disk that is full for logs must not cost a job its result
            logger.warning("%s", error)

    def _limit(self, flight: Flight, job: Job, now: float) -> None:
        budget_s = job.spec.get("time_budget_s")
        if budget_s and job.started_at:
            spent_s = (self.now() - job.started_at).total_seconds()
            flight.limit(budget_s - spent_s, budget_s, now)

    def _end(self, flight: Flight, error: BaseException | None) -> None:
        job_id, attempt = flight.assignment.job_id, flight.attempt
        job = self.store.get(job_id)
        if flight.stop_asked:
            ended = self._cancelled(job_id, attempt, sure=not self.store.committed(job_id))
        elif flight.committed and not self.store.failures(job_id).interruptions:
            # once, whatever the retries: where the version is there, all that is left is to say so
            ended = self.failed(job_id, attempt, UNSETTLED)
        elif flight.killed_at is not None:
            ended = self.failed(job_id, attempt, over_budget(job.spec["time_budget_s"], job.progress.phase))
        else:
            detail = self.cluster.exit_detail(flight.where.worker_id) if flight.where else ""
            ended = self.failed(job_id, attempt, task_failed(error, detail))
        self.tidy(ended)
        self._over(job_id, attempt, ended)

    def _stopped(self, job_id: str, attempt: int) -> Job | None:
        flight = self.flights.find(job_id, attempt)
        if self.store.get(job_id).cancel_requested:
            # who was let register and then stopped has waited for a registry that may have it all the same
            return self._cancelled(job_id, attempt, sure=flight is None or not flight.committed)
        interrupted = flight is not None and flight.interrupted
        return self.failed(job_id, attempt, INTERRUPTED if interrupted else task_failed(None, ""))

    def _cancelled(self, job_id: str, attempt: int, *, sure: bool) -> Job | None:
        """An attempt of a cancelled job is over. Where it is not sure that no version was registered, another looks."""
        return self.store.cancelled(job_id, attempt) if sure else self.failed(job_id, attempt, UNSETTLED)

    def failed(self, job_id: str, attempt: int, failure: Failure) -> Job | None:
        """Settles a failed attempt as the retry policy decides; None where it was superseded."""
        job = self.store.get(job_id)
        decision = decide(
            failure,
            self.store.failures(job_id),
            max_retries=job.spec.get("max_retries", DEFAULT_RETRIES),
            job_id=job_id,
            now=self.now(),
        )
        match decision:
            case Retry(count, not_before, reason):
                self.note(job_id, f"attempt {attempt} failed: {reason}")
                return self.store.requeue(job_id, attempt, reason=reason, not_before=not_before, count=count)
            case GiveUp(error):
                self.note(job_id, f"attempt {attempt} failed: {error.message}")
                return self.store.fail(job_id, attempt, error)

    def _over(self, job_id: str, attempt: int, job: Job | None) -> None:
        """The attempt is out no longer; `job` is None where it was superseded before."""
        flight = self.flights.find(job_id, attempt)
        if flight is not None:
            self.flights.remove(flight)
        self.changed(job_id, job)


def _with_queue_time(result: dict[str, Any], job: Job) -> dict[str, Any]:
    queue_s = (job.started_at - job.created_at).total_seconds() if job.started_at else 0.0
    return result | {"timings": {"queue_s": round(queue_s, 4)} | result.get("timings", {})}
