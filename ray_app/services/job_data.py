"""What is known about the data of a job."""

from __future__ import annotations

from ray_app.jobs.port import Jobs
from ray_app.services.pool import BoundedPool
from training.data.profiling import DataReport, DataReports


class JobDataService:
    """Reads the reports that jobs leave in the artifact store."""

    def __init__(self, jobs: Jobs, artifact_uri: str, pool: BoundedPool) -> None:
        self._jobs = jobs
        self._artifact_uri = artifact_uri
        self._pool = pool

    async def report(self, job_id: str) -> DataReport:
        """The profile of every column and the findings of every check.

        Raises:
            NotFoundError: no such job, or it has not read its data yet.
        """
        job = await self._jobs.get(job_id)
        return await self._pool.run(lambda: DataReports(self._artifact_uri).read(job.id))
