"""Decides what happens to jobs, one call or one step at a time: no threads, no event loop, no Ray in here."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from ray_app.dispatcher.attempts import Announce, Attempts, Listener, nobody_is_told
from ray_app.dispatcher.capacity import Demand, check_schedulable
from ray_app.dispatcher.cluster import Cluster
from ray_app.dispatcher.failures import raised
from ray_app.dispatcher.flights import Flight, Flights
from ray_app.dispatcher.messages import Assignment, TaskEnd
from ray_app.dispatcher.release import Candidate, choose, is_full
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import Job, JobKind, JobStatus
from ray_app.jobs.new_jobs import NewJob
from ray_app.jobs.retry_policy import INTERRUPTED
from ray_app.jobs.store import JobStore, utc_now
from training.errors import ConflictError, ResourceError, SpecError, TrainingError, UnavailableError

logger = logging.getLogger(__name__)

LOOK_AHEAD = 16
"""Pending jobs looked at beyond those that could be released, for one that fits beside a larger one that does not."""
POLL_S = 2.0
"""How often pending jobs are looked at although nothing happened: the pause before a retry may be over."""
MESSAGE_PAUSE_S = 2.0
"""A waiting job is told why it waits after this long, and again no more often than this."""


class Action(NamedTuple):
    """One thing that a step did."""

    what: Literal["released", "killed", "gave up", "settled", "reconciled", "told", "scheduled"]
    job_id: str
    detail: str = ""


@dataclass(frozen=True)
class Submission:
    """A job that somebody asks for."""

    kind: JobKind
    spec: dict[str, Any]
    idempotency_key: str | None = None
    retry_of: str | None = None


class Controller:
    """The only writer of the store. Used by one thread; made anew, with `reconcile`, whenever the dispatcher starts.

    Args:
        store: where jobs survive.
        cluster: runs the tasks; the end of each is passed to `task_ended`.
        logs: what people read of a job.
        release_ahead: jobs handed to the cluster beyond what fits now.
        changed: hears of every change of a job.
        announce: which webhooks hear of a job that has succeeded.
        clock: monotonic seconds.
        now: the time of day.
    """

    def __init__(
        self,
        store: JobStore,
        cluster: Cluster,
        logs: JobLogs,
        *,
        release_ahead: int,
        changed: Listener,
        announce: Announce = nobody_is_told,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._release_ahead = release_ahead
        self._changed = changed
        self._clock = clock
        self.flights = Flights()
        self.attempts = Attempts(store, cluster, logs, self.flights, self._heard, clock, now, announce)
        self._ended: deque[TaskEnd] = deque()
        self._look = True
        self._looked_at = 0.0
        self.draining = False
        """Whether the service goes down: jobs are still stored, and none is released."""
        self.also: Callable[[], Sequence[Action]] = tuple
        """What else is done in each step, such as starting what a schedule asks for."""

    # what comes in from callers

    def submit(
        self, kind: JobKind, spec: dict[str, Any], idempotency_key: str | None, retry_of: str | None = None
    ) -> tuple[Job, bool]:
        """Stores a job.

        Raises:
            ConflictError: the same key came before with another spec.
            ResourceError: no node will ever hold it.
        """
        [answer] = self.submit_all([Submission(kind, spec, idempotency_key, retry_of)])
        if isinstance(answer, TrainingError):
            raise answer
        return answer

    def submit_all(self, asked: Sequence[Submission]) -> list[tuple[Job, bool] | TrainingError]:
        """Stores jobs by one write; answers for each what `submit` would, or the error that it would raise."""
        drafts = [self._drafted(one) for one in asked]
        stored = iter(self._store.add([draft for draft in drafts if isinstance(draft, NewJob)]))
        answers = [next(stored) if isinstance(draft, NewJob) else draft for draft in drafts]
        for answer in answers:
            if not isinstance(answer, TrainingError):
                self._heard(answer[0].id, answer[0])
        return answers

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop.

        Raises:
            ConflictError: it is final.
        """
        job = self._store.request_cancel(job_id)
        self._take_back(job)
        if job.started_at is not None:
            # an attempt before this pause may have been killed
            self.attempts.tidy(job)
        self._heard(job_id, job)
        return job

    def retry(self, job_id: str, idempotency_key: str | None) -> tuple[Job, bool]:
        """A new job with the same spec.

        Raises:
            ConflictError: the job has neither failed nor been cancelled.
        """
        job = self._store.get(job_id)
        if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
            raise ConflictError(f"job {job_id} is {job.status}; only a failed or cancelled one can be repeated")
        return self.submit(job.kind, job.spec, idempotency_key, retry_of=job_id)

    def check_cluster(self) -> None:
        """Answers when there is a node.

        Raises:
            UnavailableError: there is none.
        """
        if not self._cluster.capacity().nodes:
            raise UnavailableError("the cluster has no living node")

    # the end of the service

    def drain(self) -> None:
        """Releases no more jobs; those that Ray has not begun stay PENDING for the next start."""
        self.draining = True
        for flight in list(self.flights.by_job.values()):
            if flight.where is None:
                self.flights.remove(flight)
                self._cluster.take_back(flight.assignment.job_id, flight.attempt)

    def interrupt(self) -> list[str]:
        """Asks what runs to leave a checkpoint and stop; answers the jobs. What may be registering is let be."""
        asked = []
        for flight in self.flights.by_job.values():
            if not flight.committed:
                flight.interrupted = True
                asked.append(flight.assignment.job_id)
        return asked

    # the loop

    def reconcile(self) -> list[Action]:
        """Settles what a dispatcher before us left behind: its tasks have died with it.

        Everything in here may be interrupted at any point and done again.
        """
        done = []
        for job in self._store.running():
            if self.flights.find(job.id, job.attempt) is None:
                after = self.attempts.failed(job.id, job.attempt, INTERRUPTED)
                done.append(Action("reconciled", job.id, after.status if after else ""))
                self.attempts.tidy(after)
                self._heard(job.id, after)
        return done

    def step(self) -> list[Action]:
        """Does all that is due now, and says what it was."""
        return [
            *self.also(), *self._settle_ended(), *self._settle_lost(), *self._kill_overdue(), *self._release(),
            *self._tell_why(),
        ]  # fmt: skip

    def task_ended(self, end: TaskEnd) -> None:
        """Ray says that a task is over; the next step settles it."""
        self._ended.append(end)

    def _settle_ended(self) -> list[Action]:
        done = []
        while self._ended:
            end = self._ended[0]
            if self.flights.find(end.job_id, end.attempt) is not None:
                done.append(Action("settled", end.job_id, f"attempt {end.attempt}"))
            self.attempts.ended(end)
            # only now: where the store is away, the next step tries again
            self._ended.popleft()
        return done

    def _settle_lost(self) -> list[Action]:
        """Attempts on nodes that are dead, of which Ray has not said that they are over."""
        dead = self._cluster.capacity().dead if self.flights.by_job else frozenset()
        if not dead:
            return []
        now, done = self._clock(), []
        for flight in list(self.flights.by_job.values()):
            if flight.lost(dead, now):
                job_id = flight.assignment.job_id
                self.attempts.lost(flight)
                done.append(Action("settled", job_id, f"attempt {flight.attempt}, its node is dead"))
        return done

    def _kill_overdue(self) -> list[Action]:
        now, done = self._clock(), []
        for flight in list(self.flights.by_job.values()):
            job_id = flight.assignment.job_id
            if flight.given_up(now):
                self.attempts.give_up(flight)
                done.append(Action("gave up", job_id, flight.kill_reason))
            elif flight.where is not None and flight.overdue(now):
                flight.killed_at = now
                self.attempts.note(job_id, f"the process of attempt {flight.attempt} is killed ({flight.kill_reason})")
                self._cluster.kill(job_id, flight.attempt, flight.where)
                done.append(Action("killed", job_id, flight.kill_reason))
        return done

    def _release(self) -> list[Action]:
        now = self._clock()
        if self.draining or (not self._look and now - self._looked_at < POLL_S):
            return []
        nodes = self._cluster.capacity().nodes
        outstanding = [flight.outstanding(now) for flight in self.flights.by_job.values()]
        if is_full(outstanding, nodes, ahead=self._release_ahead):
            return []
        # until the end: where the store is away, the next step looks again
        self._look, self._looked_at = True, now
        # what runs is not PENDING any more, and what is in use cannot be given out: neither is asked for
        free = sum(node.cpus for node in nodes) - sum(job.demand.cpus for job in outstanding if job.started)
        limit = max(0, int(free)) + self._release_ahead + LOOK_AHEAD
        waiting = tuple(job_id for job_id, flight in self.flights.by_job.items() if flight.where is None)
        pending = {job.id: job for job in self._store.pending(limit, exclude=waiting)}
        candidates = [Candidate(job.id, Demand.of(job.kind, job.spec)) for job in pending.values()]
        chosen = choose(candidates, outstanding, nodes, ahead=self._release_ahead)
        done = [self._hand_over(pending[job_id]) for job_id in chosen]
        self._look = False
        return done

    def _drafted(self, asked: Submission) -> NewJob | TrainingError:
        spec = asked.spec
        try:
            check_schedulable(self._cluster.capacity(), Demand.of(asked.kind, spec))
            return self._store.draft(
                asked.kind, _name(asked.kind, spec), spec, priority=spec.get("priority", 0), tags=spec.get("tags"),
                idempotency_key=asked.idempotency_key, retry_of=asked.retry_of,
            )  # fmt: skip
        except (SpecError, ResourceError) as error:
            return error

    def _hand_over(self, job: Job) -> Action:
        """A crash after the attempt is counted leaves a pending job, which the next dispatcher hands over again."""
        attempt = self._store.assign_attempt(job.id)
        demand = Demand.of(job.kind, job.spec)
        assignment = Assignment(job.id, attempt, job.kind, job.name, job.spec, demand, job.cancel_requested)
        try:
            self._cluster.submit(assignment)
        except UnavailableError:
            raise
        except Exception as error:  # one job that cannot be handed over must not hold up all others for ever
            logger.exception("%s cannot be handed over", job.id)
            failed = self.attempts.failed(job.id, attempt, raised(error))
            self._heard(job.id, failed)
            return Action("settled", job.id, type(error).__name__)
        self.flights.add(Flight(assignment, released_at=self._clock()))
        return Action("released", job.id, f"attempt {attempt}")

    def _tell_why(self) -> list[Action]:
        """Tells jobs that Ray has and does not start what they wait for."""
        now, done = self._clock(), []
        for flight in self.flights.by_job.values():
            if flight.where is None and now - max(flight.released_at, flight.told_at) > MESSAGE_PAUSE_S:
                message = self._cluster.capacity().why_waiting(flight.assignment.demand)
                flight.told_at = now
                if message != flight.told and self._store.waiting(flight.assignment.job_id, message):
                    flight.told = message
                    self._changed(flight.assignment.job_id, None)
                    done.append(Action("told", flight.assignment.job_id, message))
        return done

    def _take_back(self, job: Job) -> None:
        flight = self.flights.by_job.get(job.id)
        if flight is None:
            return
        if job.status.final:
            self.flights.remove(flight)
            self._cluster.take_back(job.id, flight.attempt)
        else:
            flight.ask_to_stop(self._clock())

    def _heard(self, job_id: str, job: Job | None) -> None:
        # a job that came or went may let another go; one that has begun or reports does not
        self._look = self._look or (job is not None and job.status is not JobStatus.RUNNING)
        self._changed(job_id, job)


def _name(kind: JobKind, spec: dict[str, Any]) -> str:
    return str(spec["model"]["name"] if kind == "evaluate" else spec["name"])
