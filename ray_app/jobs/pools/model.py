"""What a pool is on the wire and between processes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ray_app.jobs.model import WireModel
from training.active_learning.policy import is_spent

Verdict = Literal["label", "skip", "unsure"]
ItemStatus = Literal["queued", "labelled", "skipped", "disputed", "changed"]
Label = str | float


class PoolState(WireModel):
    """Where the loop of a pool is."""

    serial: int = 0
    """Jobs that the pool has asked for."""
    round: int = 0
    """Queries that have come back."""
    rows: int | None = None
    """In the source; None before the first query has come back."""
    left: int | None = None
    """Rows that are still to be chosen from."""
    sha256: str | None = None
    version: str | None = None
    """Registered version that chooses."""
    previous: str | None = None
    trained_labels: int = 0
    """Labels that the last training had, whether it worked or not."""
    train_job: str | None = None
    query_job: str | None = None
    refresh: bool = False
    """There is a new version, and the rows that wait were chosen by the one before."""
    replacing: bool = False
    """The query that is under way replaces the rows that wait."""
    problem: str | None = None
    """What keeps the loop from going on as it should; for people."""
    blocked: bool = False
    """A job of the pool failed: nothing is tried again until somebody asks."""


class PoolItem(WireModel):
    """A row that was chosen for labelling."""

    id: str
    part: Literal["test", "active", "random"]
    """test: frozen random test set. active: by the strategy. random: the control arm."""
    status: ItemStatus = "queued"
    cells: dict[str, Any]
    score: float
    why: dict[str, Any]
    cost: float
    row_hash: str
    label: Label | None = None
    round: int = 0
    lease_expires_at: datetime | None = None


class PoolLabelEntry(WireModel):
    """One thing that a labeller said; later ones by the same labeller take its place, and it stays in the history."""

    seq: int
    id: str
    labeller: str
    verdict: Verdict
    label: Label | None = None
    current: bool
    created_at: datetime


class PoolAnswer(WireModel):
    """What a labeller says of one row."""

    id: str
    verdict: Verdict = "label"
    label: Label | None = None
    time: datetime | None = None
    """When it was said; None: now."""


class AnswerCounts(WireModel):
    """What became of the answers."""

    stored: int
    corrected: int
    unchanged: int
    """Said before, by the same labeller, in the same way."""


class PoolCounts(WireModel):
    """How far labelling is."""

    test_total: int = 0
    test_labelled: int = 0
    active_labelled: int = 0
    random_labelled: int = 0
    queued: int = 0
    """Rows that wait for a label, test rows aside."""
    queued_random: int = 0
    held: int = 0
    """Of `queued`, those that are out with a labeller; likewise of `queued_random`."""
    held_random: int = 0
    test_queued: int = 0
    leased: int = 0
    skipped: int = 0
    disputed: int = 0
    changed: int = 0
    spent: float = 0.0
    """Cost of all labels."""
    cheapest: float | None = None
    """Least cost of a row that waits for a label."""
    by_class: dict[str, int] = {}
    """Train labels by class."""
    test_by_class: dict[str, int] = {}
    by_labeller: dict[str, int] = {}

    @property
    def train_labelled(self) -> int:
        """Labels that are trained on."""
        return self.active_labelled + self.random_labelled


class PoolRound(WireModel):
    """A query that came back."""

    number: int
    job_id: str
    version: str | None
    labels: int
    evidence: dict[str, Any] | None
    created_at: datetime


class PoolRecord(WireModel):
    """A pool as it is stored."""

    id: str
    name: str
    created_at: datetime
    spec: dict[str, Any]
    state: PoolState
    counts: PoolCounts
    rounds: list[PoolRound] = []

    @property
    def is_spent(self) -> bool:
        """Whether what is left of the budget pays for no row that waits."""
        return is_spent(self.spec.get("budget"), self.counts.spent, self.counts.cheapest)

    @property
    def is_exhausted(self) -> bool:
        """Whether every row has been labelled, or skipped."""
        counts = self.counts
        waiting = counts.queued + counts.disputed + counts.test_queued
        return self.state.round > 0 and not self.state.left and not waiting

    @property
    def is_over(self) -> bool:
        """Whether no row will ever be handed out, unless a label is corrected. What is under way may bring rows, also
        cheaper ones, but none that nothing is left for."""
        budget, under_way = self.spec.get("budget"), self.state.query_job or self.state.train_job
        if budget is not None and self.counts.spent >= budget:
            return True
        return under_way is None and (self.is_spent or self.is_exhausted)


class PoolRecordPage(WireModel):
    """A page of pools, newest first."""

    items: list[PoolRecord]
    next_cursor: str | None = None


class NewPool(WireModel):
    """A pool to store."""

    id: str
    name: str
    spec: dict[str, Any]
    idempotency_key: str | None = None
