"""Where else a job can be looked at: added when a job is answered, for the pages may move while the job does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from ray_app.jobs.model import Job, JobEvent, JobKind, JobPage, JobQuery, JobStats, LogChunk
from ray_app.jobs.port import Jobs
from ray_app.settings import Settings


class LinkedJobs:
    """Implements ray_app.jobs.port.Jobs: the jobs of another, with `links` to the report, MLflow and Ray."""

    def __init__(self, jobs: Jobs, settings: Settings) -> None:
        self._jobs = jobs
        self._mlflow = _mlflow_page(settings)
        self._service = settings.service_url
        self._ray = f"http://127.0.0.1:{settings.dashboard_port}" if settings.dashboard_port else None

    async def submit(
        self, kind: JobKind, spec: dict[str, Any], *, idempotency_key: str | None = None, retry_of: str | None = None
    ) -> tuple[Job, bool]:
        """See the port."""
        job, new = await self._jobs.submit(kind, spec, idempotency_key=idempotency_key, retry_of=retry_of)
        return self._linked(job), new

    async def get(self, job_id: str, *, wait_s: float = 0) -> Job:
        """See the port."""
        return self._linked(await self._jobs.get(job_id, wait_s=wait_s))

    async def list(self, query: JobQuery) -> JobPage:
        """See the port."""
        page = await self._jobs.list(query)
        return page.model_copy(update={"items": [self._linked(job) for job in page.items]})

    async def active(self, tag: str) -> int:
        """See the port."""
        return await self._jobs.active(tag)

    async def cancel(self, job_id: str) -> Job:
        """See the port."""
        return self._linked(await self._jobs.cancel(job_id))

    async def retry(self, job_id: str) -> Job:
        """See the port."""
        return self._linked(await self._jobs.retry(job_id))

    async def events(self, job_id: str, *, after: int = 0, wait_s: float = 0) -> Sequence[JobEvent]:
        """See the port."""
        return await self._jobs.events(job_id, after=after, wait_s=wait_s)

    async def log(self, job_id: str, *, offset: int = 0, wait_s: float = 0) -> LogChunk:
        """See the port."""
        return await self._jobs.log(job_id, offset=offset, wait_s=wait_s)

    async def stats(self) -> JobStats:
        """See the port."""
        return await self._jobs.stats()

    async def health(self) -> dict[str, str]:
        """See the port."""
        return await self._jobs.health()

    def _linked(self, job: Job) -> Job:
        links = dict(job.links)
        run_id = (job.result or {}).get("run_id")
        if self._mlflow is not None and run_id is not None:
            links["mlflow"] = f"{self._mlflow}/#/runs/{run_id}"
        model = (job.result or {}).get("model") if job.kind == "train" else None
        if model is not None:
            links["report"] = f"{self._service}/api/v1/models/{model['name']}/versions/{model['version']}/report"
        if self._ray is not None:
            links["ray"] = self._ray
        return job.model_copy(update={"links": links})


def _mlflow_page(settings: Settings) -> str | None:
    if settings.tracking_uri.startswith(("http://", "https://")):
        parts = urlsplit(settings.tracking_uri)
        # the address may carry a user and a password
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    return f"http://127.0.0.1:{settings.mlflow_port}" if settings.mlflow_port else None
