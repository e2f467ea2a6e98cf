"""The trials of a search."""

from __future__ import annotations

from pydantic import BaseModel

from ray_app.jobs.port import Jobs
from ray_app.services.pool import BoundedPool
from training.errors import SpecError
from training.registry import Registry
from training.result import TrialRow


class TrialPage(BaseModel):
    """A page of trials by number; those of a running search as far as they are recorded."""

    items: list[TrialRow]
    next_cursor: str | None = None


class TrialService:
    """Reads trials from the registry, where a running search records them."""

    def __init__(self, jobs: Jobs, registry: Registry, pool: BoundedPool) -> None:
        self._jobs = jobs
        self._registry = registry
        self._pool = pool

    async def page(self, job_id: str, *, limit: int, cursor: str | None) -> TrialPage:
        """Trials of the job; empty for a job without a search.

        Raises:
            NotFoundError: no such job.
            SpecError: the cursor is not one of ours.
        """
        after = _number(cursor)
        job = await self._jobs.get(job_id)
        if not job.spec.get("tune"):
            return TrialPage(items=[])
        rows = await self._pool.run(self._registry.trials, job.name, job.id)
        rest = [row for row in rows if row.number > after]
        page = rest[:limit]
        return TrialPage(items=page, next_cursor=str(page[-1].number) if len(rest) > limit else None)


def _number(cursor: str | None) -> int:
    if cursor is None:
        return -1
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 9:
        raise SpecError.at("cursor", cursor, "not a cursor of this list")
    return int(cursor)
