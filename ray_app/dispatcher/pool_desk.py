"""The loop of every pool: labels come in, a model is trained, rows are chosen. Lives in the controller's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from ray_app.jobs.ids import IdFactory
from ray_app.jobs.model import Job, JobKind, JobStatus
from ray_app.jobs.pools.model import AnswerCounts, NewPool, PoolAnswer, PoolItem, PoolRecord, PoolState
from ray_app.jobs.pools.store import PoolStore
from training.active_learning.agreement import Label, Vote, dawid_skene
from training.active_learning.policy import Query, Situation, Train, next_step, obstacle
from training.active_learning.spec import KnownLabel, PoolSpec, QuerySpec
from training.active_learning.stopping import expected_gain
from training.active_learning.training_spec import train_spec
from training.errors import TrainingError

logger = logging.getLogger(__name__)

POOL_TAG = "pool"

PoolMethod = Literal["create", "lease", "answer", "get", "list", "items", "labels"]
CHANGES: frozenset[PoolMethod] = frozenset({"create", "lease", "answer"})
"""Methods of the desk; the others are reads of the store."""

Submit = Callable[[JobKind, dict[str, Any]], Job]


class PoolDesk:
    """Takes what callers say of pools, and asks for the jobs that a pool needs.

    Stateless beside the store: made anew, with `reconcile`, whenever the dispatcher starts. A dispatcher that dies
    between asking for a job and noting its id leaves a job whose end no pool waits for, and asks again.

    Args:
        store: of the pools.
        submit: makes a job.
        get_job: the job as it is.
    """

    def __init__(self, store: PoolStore, submit: Submit, get_job: Callable[[str], Job]) -> None:
        self._store = store
        self._submit = submit
        self._get_job = get_job

    # what comes in from callers

    def create(self, new: NewPool) -> PoolRecord:
        """Stores a pool and asks for its first rows."""
        return self.advance(self._store.create(new).id)

    def open(self, spec: PoolSpec, key: str) -> str:
        """Makes a pool that no caller asked for, once for each key; answers its id."""
        new_id = IdFactory().new(datetime.now(UTC)).replace("job_", "pool_")
        new = NewPool(id=new_id, name=spec.name, spec=spec.model_dump(mode="json"), idempotency_key=key)
        return self.create(new).id

    def known(self, pool_id: str) -> list[KnownLabel]:
        """The labels that count so far."""
        record = self._store.get(pool_id)
        return self._known_labels(record, PoolSpec.model_validate(record.spec))

    def lease(self, pool_id: str, labeller: str, size: int) -> Sequence[PoolItem]:
        """Hands rows to a labeller, and has more chosen where few are left."""
        found = self._store.lease(pool_id, labeller, size)
        self.advance(pool_id, asked=True, idle=not found)
        return found

    def answer(
        self, pool_id: str, labeller: str, answers: Sequence[PoolAnswer], *, need_lease: bool = True
    ) -> AnswerCounts:
        """Stores what a labeller says, and has a model trained where enough labels have come in."""
        counts = self._store.answer(pool_id, labeller, answers, need_lease=need_lease)
        self.advance(pool_id, asked=True)
        return counts

    # the loop

    def reconcile(self) -> None:
        """Takes up every pool where a dispatcher before us left it."""
        for pool_id in self._store.ids():
            self.advance(pool_id)

    def job_over(self, job: Job) -> None:
        """A job has ended; where a pool waits for it, it goes on."""
        pool_id = job.tags.get(POOL_TAG)
        if pool_id is not None and job.status.final:
            self.advance(pool_id)

    def advance(self, pool_id: str, *, asked: bool = False, idle: bool = False) -> PoolRecord:
        """Takes in what has ended, and asks for what is next.

        Args:
            pool_id: the pool.
            asked: a caller is there: what failed before is tried again.
            idle: the caller has no work: rows that others hold are none for this one.
        """
        record = self._taken_in(self._store.get(pool_id))
        plan = PoolSpec.model_validate(record.spec)
        state = record.state
        if state.blocked and not asked:
            return record
        at = situation(record, idle=idle)
        step = next_step(plan, at)
        problem = None if step is not None or at.busy else obstacle(plan, at) if at.queried else None
        if step is None:
            if not state.blocked and problem != state.problem:
                self._store.set_state(pool_id, state.model_copy(update={"problem": problem}))
            return self._store.get(pool_id)
        state = state.model_copy(update={"serial": state.serial + 1, "blocked": False, "problem": None})
        self._store.set_state(pool_id, state)
        self._start(record.model_copy(update={"state": state}), plan, step)
        return self._store.get(pool_id)

    def _start(self, record: PoolRecord, plan: PoolSpec, step: Query | Train) -> None:
        state = record.state
        labels = self._known_labels(record, plan)
        tags = {**plan.tags, POOL_TAG: record.id, "pool_job": str(state.serial)}
        try:
            if isinstance(step, Train):
                spec = train_spec(plan, labels, tags, again=record.state.version is not None)
                job = self._submit("train", spec.model_dump(mode="json"))
                trained = record.counts.train_labelled
                update: dict[str, Any] = {"train_job": job.id, "trained_labels": trained}
            else:
                job = self._submit("query", self._query(record, plan, step, labels, tags).model_dump(mode="json"))
                update = {"query_job": job.id, "replacing": step.replace, "refresh": False}
        except TrainingError as error:
            update = {"problem": error.message, "blocked": True}
        self._store.set_state(record.id, state.model_copy(update=update))

    def _query(
        self, record: PoolRecord, plan: PoolSpec, step: Query, labels: list[KnownLabel], tags: dict[str, str]
    ) -> QuerySpec:
        known = {one.id for one in labels}
        rest = [item for item in self._store.items(record.id) if item.id not in known and item.status != "changed"]
        if step.replace:
            # rows that make place may be chosen again
            rest = [item for item in rest if item.status != "queued" or item.part != "active"]
        return QuerySpec(
            name=plan.name, pool=record.id, round=record.state.round, plan=plan, take=step.take,
            version=record.state.version, previous=record.state.previous, measure=step.measure, labels=labels,
            test_ids=[item.id for item in rest if item.part == "test"], handled=[item.id for item in rest], tags=tags,
            resources=plan.resources,
        )  # fmt: skip

    def _known_labels(self, record: PoolRecord, plan: PoolSpec) -> list[KnownLabel]:
        items = self._store.items(record.id, ("labelled", "disputed"))
        argued: dict[str, Label | None] = {}
        if plan.resolve == "dawid_skene" and plan.data.task != "regression":
            said = self._store.labels(record.id)
            argued = dawid_skene(
                [Vote(one.id, one.labeller, one.label) for one in said if one.current and one.label is not None],
                plan.data.classes,
            )
        found = []
        for item in items:
            label = argued.get(item.id, item.label)
            if label is not None:
                part = "test" if item.part == "test" else "train"
                found.append(KnownLabel(id=item.id, label=label, part=part, row_hash=item.row_hash, arm=item.part))
        return found

    # what has ended

    def _taken_in(self, record: PoolRecord) -> PoolRecord:
        state = record.state
        if state.train_job is not None:
            job = self._get_job(state.train_job)
            if job.status.final:
                state = _trained(state, job)
                self._store.set_state(record.id, state)
        if state.query_job is not None:
            job = self._get_job(state.query_job)
            if job.status.final:
                self._queried(record.id, state, job)
        return self._store.get(record.id)

    def _queried(self, pool_id: str, state: PoolState, job: Job) -> None:
        state = state.model_copy(update={"query_job": None})
        if job.status is not JobStatus.SUCCEEDED or job.result is None:
            # the rows of the version before are still there; they are replaced when somebody asks again
            again = {"refresh": state.replacing, "replacing": False, "blocked": True, "problem": _why(job, "query")}
            self._store.set_state(pool_id, state.model_copy(update=again))
            return
        result = job.result
        update = {"round": state.round + 1, "rows": result["rows"], "left": result["left"], "sha256": result["sha256"]}
        self._store.query_came_back(pool_id, job.id, result, state.model_copy(update=update))


def situation(record: PoolRecord, *, idle: bool = False) -> Situation:
    """The facts that the policy goes by; for somebody `idle` without the rows that others hold."""
    state, counts = record.state, record.counts
    held, held_random = (counts.held, counts.held_random) if idle else (0, 0)
    evidence = [one.evidence for one in record.rounds if one.evidence is not None]
    gain = expected_gain(evidence, max(0, counts.train_labelled - state.trained_labels))
    return Situation(
        queried=state.round > 0,
        busy=state.train_job is not None or state.query_job is not None,
        has_model=state.version is not None,
        refresh=state.refresh,
        left=state.left or 0,
        test_waiting=counts.test_queued,
        test_labelled=counts.test_labelled,
        train_labelled=counts.train_labelled,
        trained_labels=state.trained_labels,
        queued=counts.queued - held,
        queued_random=counts.queued_random - held_random,
        held=held,
        spent=counts.spent,
        cheapest=counts.cheapest,
        expected_gain=None if gain is None else gain["value"],
        by_class=counts.by_class,
        test_by_class=counts.test_by_class,
    )


def _trained(state: PoolState, job: Job) -> PoolState:
    if job.status is not JobStatus.SUCCEEDED or job.result is None:
        # not tried again with the same labels: they are what failed
        return state.model_copy(update={"train_job": None, "problem": _why(job, "training")})
    version = job.result["model"]["version"]
    return state.model_copy(
        update={"train_job": None, "previous": state.version, "version": version, "refresh": True, "problem": None}
    )


def _why(job: Job, what: str) -> str:
    return f"{what} job {job.id} is {job.status}" + (f": {job.error.message}" if job.error else "")
