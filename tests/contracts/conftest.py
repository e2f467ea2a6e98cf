"""A job store on SQLite and on PostgreSQL, whose time stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from job_stores import Clock

from ray_app.jobs.store import JobStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[JobStore]:
    with JobStore(store_url, clock=clock) as opened:
        yield opened
