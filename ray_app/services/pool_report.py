"""A pool as it is answered: how far it is, what the labels have brought, and whether to go on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ray_app.jobs.model import WireModel
from ray_app.jobs.pools.model import PoolCounts, PoolRecord
from training.active_learning.spec import PoolSpec
from training.active_learning.stopping import advice, expected_gain, labels_saved

PoolStatus = Literal["preparing", "labelling_test", "labelling", "spent", "exhausted", "blocked"]
NOTE = (
    "Rows chosen by the strategy are not like the pool, so every figure here is measured on the frozen random test set"
    " alone, which is never queried. The two arms are models of active and of random labels; the registered model has"
    " both."
)


class CurvePoint(WireModel):
    """A model of so many labels of one arm; the interval is of the test rows."""

    labels: int
    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    """Why there is no value."""


class PoolEvidence(WireModel):
    """What the labels have brought."""

    metric: str | None = None
    curves: dict[str, list[CurvePoint]] = {}
    """active and random, by number of labels."""
    at_equal_labels: dict[str, Any] | None = None
    """Gain of the active over the random arm with as many labels each, with its interval."""
    labels_saved: dict[str, Any] | None = None
    expected_gain: dict[str, Any] | None = None
    """Of the next batch."""
    uncertainty: float | None = None
    stability: float | None = None
    stop: bool = False
    reasons: list[str] = []
    """For stopping, or why not yet."""
    note: str = NOTE


class PoolInfo(WireModel):
    """A pool."""

    id: str
    name: str
    status: PoolStatus
    created_at: datetime
    spec: dict[str, Any]
    rows: int | None
    left: int | None
    """Rows to choose from that have not been chosen."""
    counts: PoolCounts
    model: dict[str, str] | None
    """Name and version of the model that chooses; None before the first training."""
    jobs: dict[str, str]
    """Jobs under way: train, query."""
    problem: str | None
    """What keeps the loop from going on as it should, and what to do."""
    evidence: PoolEvidence
    links: dict[str, str]


class PoolPage(WireModel):
    """A page of pools, newest first."""

    items: list[PoolInfo]
    next_cursor: str | None = None


def pool_info(record: PoolRecord) -> PoolInfo:
    """The answer for a pool."""
    state = record.state
    jobs = {"train": state.train_job, "query": state.query_job}
    return PoolInfo(
        id=record.id, name=record.name, status=_status(record), created_at=record.created_at, spec=record.spec,
        rows=state.rows, left=state.left, counts=record.counts,
        model={"name": record.name, "version": state.version} if state.version else None,
        jobs={name: job for name, job in jobs.items() if job}, problem=state.problem, evidence=_evidence(record),
        links={"page": f"/api/v1/active-learning/pools/{record.id}/page"},
    )  # fmt: skip


def _status(record: PoolRecord) -> PoolStatus:
    state = record.state
    if state.blocked:
        return "blocked"
    if state.round == 0:
        return "preparing"
    if record.is_spent:
        return "spent"
    if record.counts.test_queued:
        return "labelling_test"
    return "exhausted" if record.is_exhausted else "labelling"


def _evidence(record: PoolRecord) -> PoolEvidence:
    rounds = [one.evidence for one in record.rounds if one.evidence is not None]
    if not rounds:
        return PoolEvidence(reasons=["nothing is measured yet"])
    plan = PoolSpec.model_validate(record.spec)
    last = rounds[-1]
    cost = record.counts.spent / max(1, record.counts.train_labelled + record.counts.test_labelled)
    told = advice(
        rounds, batch_size=plan.batch_size, cost_per_row=cost or plan.cost_per_row,
        min_gain_per_cost=plan.min_gain_per_cost,
    )  # fmt: skip
    return PoolEvidence(
        metric=last["metric"],
        curves={arm: _curve(rounds, arm) for arm in ("active", "random")},
        at_equal_labels=last["at_equal_labels"], labels_saved=labels_saved(rounds),
        expected_gain=expected_gain(rounds, plan.batch_size), uncertainty=last["uncertainty"],
        stability=last["stability"], stop=told["stop"], reasons=told["reasons"],
    )  # fmt: skip


def _curve(rounds: list[dict[str, Any]], arm: str) -> list[CurvePoint]:
    newest = {one[arm]["labels"]: CurvePoint.model_validate(one[arm]) for one in rounds}
    return [newest[labels] for labels in sorted(newest)]
