"""Pools of rows to label: made, handed out, labelled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, SecretStr

from ray_app.jobs.ids import IdFactory
from ray_app.jobs.model import WireModel
from ray_app.jobs.pools.model import AnswerCounts, NewPool, PoolAnswer, PoolItem, PoolLabelEntry, Verdict
from ray_app.jobs.pools.port import Pools
from ray_app.services.pool import BoundedPool
from ray_app.services.pool_report import PoolInfo, PoolPage, pool_info
from training.active_learning.spec import KnownLabel, PoolData, PoolSpec
from training.data import DataAccess, class_label, size_bytes
from training.errors import Problem, SpecError, nearest, shown
from training.spec import SpecModel, parse_spec

MAX_LABELS = 10_000
EARLIEST, CLOCKS_DIFFER = datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=5)
"""A labeller's clock may be so far ahead of ours."""
Labeller = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class QueryRequest(SpecModel):
    """Asks for rows to label."""

    labeller: Labeller | None = None
    """Default: the caller."""
    size: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Default: the pool's batch_size."""


class LabelRequest(SpecModel):
    """What a labeller says of one row."""

    id: str | int
    verdict: Verdict = "label"
    """label: the label is sure. unsure: it is kept, and not trained on. skip: cannot be labelled."""
    label: str | int | float | bool | None = None
    time: AwareDatetime | None = None
    """When it was said. Default: when it comes in."""


class LabelsRequest(SpecModel):
    """What a labeller says."""

    labeller: Labeller | None = None
    """Default: the caller."""
    labels: Annotated[list[LabelRequest], Field(min_length=1, max_length=MAX_LABELS)]


class Batch(WireModel):
    """Rows for a labeller, best first."""

    pool: str
    labeller: str
    classes: list[str]
    """The labels that may be given; empty for regression, whose labels are numbers."""
    items: list[PoolItem]
    reason: str | None = None
    """Why there are no rows, or why they are chosen as they are."""


class LabelsAnswer(WireModel):
    """What became of the labels, and the pool afterwards."""

    stored: int
    corrected: int
    unchanged: int
    """Said before by the same labeller, in the same way."""
    pool: PoolInfo


class LabelHistory(WireModel):
    """Everything that was said, oldest first; a correction leaves the label before in place, no longer current."""

    items: list[PoolLabelEntry]


class PoolService:
    """The use cases of active learning.

    Args:
        pools: behind the dispatcher.
        access: what a spec may read.
        checks: threads in which data are looked at.
        plan_limit_mb: data up to this size are checked before a pool is made; larger ones by its first job.
        webhook_secret: what Label Studio's webhook must prove to know.
    """

    def __init__(
        self, pools: Pools, access: DataAccess, checks: BoundedPool, *, plan_limit_mb: float,
        webhook_secret: SecretStr | None,
    ) -> None:  # fmt: skip
        self.pools = pools
        self.webhook_secret = webhook_secret
        self._access = access
        self._checks = checks
        self._limit_bytes = int(plan_limit_mb * 1_000_000)
        self._ids = IdFactory()

    async def create(self, raw: Any, *, idempotency_key: str | None = None) -> PoolInfo:
        """Makes a pool; its first rows are being chosen when this answers.

        Raises:
            SpecError, DataError: the pool cannot work.
            ConflictError: the key came before with another spec.
        """
        spec = parse_spec(PoolSpec, raw)
        await self._checks.run(self._check, spec)
        new_id = self._ids.new(datetime.now(UTC)).replace("job_", "pool_")
        plain = spec.model_dump(mode="json")
        record = await self.pools.create(
            NewPool(id=new_id, name=spec.name, spec=plain, idempotency_key=idempotency_key)
        )  # fmt: skip
        return pool_info(record)

    async def get(self, pool_id: str) -> PoolInfo:
        """The pool."""
        return pool_info(await self.pools.get(pool_id))

    async def list(self, *, limit: int, cursor: str | None) -> PoolPage:
        """A page of pools."""
        page = await self.pools.list(limit=limit, cursor=cursor)
        return PoolPage(items=[pool_info(record) for record in page.items], next_cursor=page.next_cursor)

    async def query(self, pool_id: str, raw: Any, *, caller: str, wait_s: float) -> Batch:
        """Hands rows to a labeller: those that it holds already, then others."""
        asked = parse_spec(QueryRequest, raw)
        plan = PoolSpec.model_validate((await self.pools.get(pool_id)).spec)
        labeller = asked.labeller or caller
        items = await self.pools.lease(pool_id, labeller, asked.size or plan.batch_size, wait_s=wait_s)
        after = await self.get(pool_id)
        reason = after.problem if items else _reason(after)
        return Batch(pool=pool_id, labeller=labeller, classes=plan.data.classes, items=list(items), reason=reason)

    async def label(self, pool_id: str, raw: Any, *, caller: str) -> LabelsAnswer:
        """Stores what a labeller says: all of it or nothing.

        Raises:
            SpecError: a label that is none, a row that was never handed out.
            ConflictError: a lease that is over, a test row that models were measured on.
        """
        asked = parse_spec(LabelsRequest, raw)
        plan = PoolSpec.model_validate((await self.pools.get(pool_id)).spec)
        counts = await self.pools.answer(pool_id, asked.labeller or caller, checked(asked.labels, plan.data))
        return await self.answered(pool_id, counts)

    async def answered(self, pool_id: str, counts: AnswerCounts) -> LabelsAnswer:
        """What is answered to labels."""
        return LabelsAnswer(**counts.model_dump(), pool=await self.get(pool_id))

    async def history(self, pool_id: str) -> LabelHistory:
        """Everything that was said."""
        return LabelHistory(items=list(await self.pools.labels(pool_id)))

    def _check(self, spec: PoolSpec) -> None:
        # heavy: scikit-activeml takes seconds to import; few requests make pools, and the client imports this module
        from ray_app.services.train import check_model  # noqa: PLC0415
        from training.active_learning.query import check_plan, features_of  # noqa: PLC0415
        from training.active_learning.rows import read_pool  # noqa: PLC0415
        from training.active_learning.training_spec import train_spec  # noqa: PLC0415

        check_plan(spec)
        check_model(train_spec(spec, [KnownLabel(id="0", label="")], {}))
        if size_bytes(spec.data.source, self._access) <= self._limit_bytes:
            rows = read_pool(spec.data, self._access)
            if spec.test_size + spec.initial_size > len(rows):
                raise SpecError.at(
                    "test_size", spec.test_size,
                    f"{spec.test_size} test rows and {spec.initial_size} first labels are more than the pool's"
                    f" {len(rows)} rows", hint="Lower test_size or initial_size.",
                )  # fmt: skip
            features_of(rows.frame, spec)


def checked(labels: Sequence[LabelRequest], data: PoolData) -> list[PoolAnswer]:
    """The labels as they are stored.

    Raises:
        SpecError: an id that comes twice, a label outside the classes, no number, an impossible time; all are named.
    """
    problems: list[Problem] = []
    answers: dict[str, PoolAnswer] = {}
    latest = datetime.now(UTC) + CLOCKS_DIFFER
    for number, one in enumerate(labels):
        name = str(one.id)
        if name in answers:
            problems.append(Problem(f"labels.{number}.id", name, "comes twice in one request"))
        label, fault = _label(one, data)
        if fault is not None:
            problems.append(Problem(f"labels.{number}.label", shown(one.label), fault))
        if one.time is not None and not EARLIEST <= one.time <= latest:
            problems.append(Problem(f"labels.{number}.time", one.time.isoformat(), "is before 1970 or in the future"))
        answers[name] = PoolAnswer(id=name, verdict=one.verdict, label=label, time=one.time)
    if problems:
        first, more = problems[0], f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise SpecError(f"{first.field}: {first.value}: {first.message}{more}", problems=problems[:100])
    return list(answers.values())


def _label(one: LabelRequest, data: PoolData) -> tuple[str | float | None, str | None]:
    """The label in its stored form, or what is wrong with it."""
    if one.label is None:
        return None, "a label is missing; or set verdict to skip" if one.verdict == "label" else None
    if one.verdict == "skip":
        return None, "a skipped row has no label"
    if data.task == "regression":
        if isinstance(one.label, bool | str) or not math.isfinite(one.label):
            return None, "is no number"
        return float(one.label), None
    text = class_label(one.label)
    return text, None if text in data.classes else f"is not one of the classes{nearest(text, data.classes)}"


def _reason(pool: PoolInfo) -> str:
    """Why there are no rows."""
    if pool.status == "spent":
        return _spent(pool)
    return (
        pool.problem
        or {
            "preparing": "the first rows are being chosen",
            "labelling_test": "the rows of the test set that wait are with other labellers",
            "labelling": "rows are being chosen, or are with other labellers",
            "exhausted": "every row has been labelled",
            "blocked": "a job of the pool failed",
        }[pool.status]
    )


def _spent(pool: PoolInfo) -> str:
    left = float(pool.spec["budget"]) - pool.counts.spent
    if left <= 0 or pool.counts.cheapest is None:
        return "the budget is spent"
    return f"the budget is spent: {left:g} is left, and the cheapest row that waits costs {pool.counts.cheapest:g}"
