"""A training job is asked for."""

from __future__ import annotations

from typing import Any

from ray_app.jobs.model import Job
from ray_app.jobs.port import Jobs
from ray_app.services.keys import Caller
from ray_app.services.pool import BoundedPool
from ray_app.services.quotas import owned
from training.data import size_bytes
from training.errors import SpecError
from training.models.families import family_of
from training.pipeline import Plan, Workplace, check_ahead, plan
from training.spec import TrainSpec, parse_spec
from training.tuning import plan_study

TASKS = ("binary", "multiclass", "regression")


class TrainService:
    """Checks a spec as far as is cheap, then gives it to the dispatcher."""

    def __init__(self, jobs: Jobs, workplace: Workplace, pool: BoundedPool, *, plan_limit_mb: float) -> None:
        self._jobs = jobs
        self._workplace = workplace
        self._pool = pool
        self._plan_limit_bytes = int(plan_limit_mb * 1_000_000)

    async def submit(self, raw: Any, *, idempotency_key: str | None = None, by: Caller | None = None) -> Job:
        """The stored job. What is found wrong here never becomes a job.

        Raises:
            SpecError, DataError: the job cannot work.
            ConflictError: the key came before with another spec.
            UnavailableError: the dispatcher is away.
        """
        spec = parse_spec(TrainSpec, raw)
        await self._pool.run(self._check, spec)
        owned_spec = owned(spec.model_dump(mode="json"), by)
        job, _ = await self._jobs.submit("train", owned_spec, idempotency_key=idempotency_key)
        return job

    async def plan(self, raw: Any) -> Plan:
        """What the job would do.

        Raises:
            SpecError, DataError: the job cannot work.
        """
        return await self._pool.run(plan, parse_spec(TrainSpec, raw), self._workplace)

    def _check(self, spec: TrainSpec) -> None:
        """Reads small data now; large ones are checked when the job starts, so that no caller waits for them."""
        if size_bytes(spec.data.source, self._workplace.access) <= self._plan_limit_bytes:
            check_ahead(spec, self._workplace)
        else:
            check_model(spec)


def check_model(spec: TrainSpec) -> None:
    """Checks the model's parameters without the data; where the task is not known yet, one task must accept them.

    Raises:
        SpecError: names the parameter.
    """
    family = family_of(spec.model)
    tasks = TASKS if spec.data.task == "auto" else (spec.data.task,)
    refusals = []
    for task in tasks:
        try:
            family.check(spec.model, task)
            if spec.tune is not None:
                plan_study(spec, task)
        except SpecError as error:
            refusals.append(error)
    if len(refusals) == len(tasks):
        raise refusals[0]
