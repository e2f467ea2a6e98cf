"""An evaluation is asked for."""

from __future__ import annotations

from typing import Any

from ray_app.jobs.model import Job
from ray_app.jobs.port import Jobs
from ray_app.services.keys import Caller
from ray_app.services.pool import BoundedPool
from ray_app.services.quotas import owned
from training.data import size_bytes
from training.pipeline import Workplace
from training.spec import EvaluateSpec, parse_spec


class EvaluateService:
    """Makes an evaluation a job like any other, and waits for it a while."""

    def __init__(self, jobs: Jobs, workplace: Workplace, pool: BoundedPool) -> None:
        self._jobs = jobs
        self._workplace = workplace
        self._pool = pool

    async def evaluate(
        self, raw: Any, *, wait_s: float, idempotency_key: str | None = None, by: Caller | None = None
    ) -> Job:
        """The job: final, or as it is after `wait_s` seconds.

        Raises:
            NotFoundError: no such model, version or alias.
            SpecError, DataError: the job cannot work.
            UnavailableError: the dispatcher or the registry is away.
        """
        spec = parse_spec(EvaluateSpec, raw)
        await self._pool.run(self._check, spec)
        owned_spec = owned(spec.model_dump(mode="json"), by)
        job, _ = await self._jobs.submit("evaluate", owned_spec, idempotency_key=idempotency_key)
        return await self._jobs.get(job.id, wait_s=wait_s) if wait_s > 0 else job

    def _check(self, spec: EvaluateSpec) -> None:
        self._workplace.registry.resolve(spec.model.name, version=spec.model.version, alias=spec.model.alias)
        size_bytes(spec.data.source, self._workplace.access)
