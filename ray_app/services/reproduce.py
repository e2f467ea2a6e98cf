"""An earlier job is to be done again."""

from __future__ import annotations

from ray_app.jobs.model import Job, JobStatus
from ray_app.jobs.port import Jobs
from ray_app.services.pool import BoundedPool
from training.errors import ConflictError
from training.pipeline import Workplace
from training.spec import ReproduceSpec, SnapshotSource, TrainSpec, parse_spec


class ReproduceService:
    """Makes the repetition of a finished training job a job of its own."""

    def __init__(self, jobs: Jobs, workplace: Workplace, pool: BoundedPool) -> None:
        self._jobs = jobs
        self._workplace = workplace
        self._pool = pool

    async def reproduce(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """The new job.

        Raises:
            NotFoundError: no such job, or its snapshot has been removed.
            ConflictError: it is no training job, or it has not succeeded.
            UnavailableError: the dispatcher or the artifact store is away.
        """
        earlier = await self._jobs.get(job_id)
        if earlier.kind != "train" or earlier.status is not JobStatus.SUCCEEDED or earlier.result is None:
            raise ConflictError(
                f"{job_id} is a job of kind {earlier.kind} that is {earlier.status}; "
                "what can be reproduced is a training job that has succeeded"
            )
        sha256 = earlier.result["data"]["sha256"]
        await self._pool.run(lambda: self._workplace.snapshots.file(sha256))
        train = parse_spec(TrainSpec, earlier.spec)
        data = train.data.model_copy(update={"source": SnapshotSource(sha256=sha256)})
        spec = ReproduceSpec(
            name=train.name,
            job_id=job_id,
            train=train.model_copy(update={"data": data}),
            metrics={name: interval["value"] for name, interval in earlier.result["metrics"].items()},
            started_from=(earlier.result.get("study") or {}).get("started_from", []),
            priority=train.priority,
            tags=train.tags,
        )
        job, _ = await self._jobs.submit(
            "reproduce", spec.model_dump(mode="json"), idempotency_key=idempotency_key, retry_of=None
        )
        return job
