"""What a job store promises of its queue and its lists, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from job_stores import ERROR, Clock, new_job, running_job

from ray_app.jobs.model import Job, JobQuery
from ray_app.jobs.queries import MAX_LISTED_SPEC_CHARS
from ray_app.jobs.store import JobStore
from training.errors import SpecError


class TestQueue:
    def test_by_priority_then_by_age(self, store: JobStore) -> None:
        names = [("low", -1), ("first", 5), ("second", 5), ("middle", 0)]
        for name, priority in names:
            new_job(store, name, priority=priority)
        assert [job.name for job in store.pending(10)] == ["first", "second", "middle", "low"]
        assert [job.name for job in store.pending(2)] == ["first", "second"]
        top = store.pending(1)[0].id
        assert [job.name for job in store.pending(2, exclude={top})] == ["second", "middle"]

    def test_a_job_that_backs_off_waits_its_time(self, store: JobStore, clock: Clock) -> None:
        job_id = new_job(store).id
        later = clock.now + timedelta(seconds=30)
        store.requeue(job_id, store.assign_attempt(job_id), reason="r", not_before=later, count="user")
        assert store.pending(10) == []
        clock.advance(30)
        assert [job.id for job in store.pending(10)] == [job_id]

    def test_running_and_final_jobs_are_not_in_it(self, store: JobStore) -> None:
        job_id, attempt = running_job(store)
        assert store.pending(10) == []
        assert [job.id for job in store.running()] == [job_id]
        store.succeed(job_id, attempt, {})
        assert store.pending(10) == store.running() == []

    def test_figures(self, store: JobStore, clock: Clock) -> None:
        assert store.oldest_pending_s() is None
        store.create("evaluate", "e", {})
        clock.advance(7.5)
        new_job(store)
        running_job(store)
        assert store.oldest_pending_s() == 7.5
        assert store.counts() == {"PENDING": 2, "RUNNING": 1, "SUCCEEDED": 0, "FAILED": 0, "CANCELLED": 0}
        store.health()


class TestList:
    @pytest.fixture
    def _twelve_jobs(self, store: JobStore) -> None:
        """Twelve jobs of all sorts."""
        for number in range(12):
            kind = "train" if number % 3 else "evaluate"
            tags = {"team": "risk" if number % 2 else "fraud"} | ({"gold": ""} if number % 4 == 0 else {})
            job, _ = store.create(kind, f"model-{number % 2}", {"number": number}, tags=tags)
            if number % 4 == 1:
                store.fail(job.id, None, ERROR)
            if number % 4 == 2:
                store.started(job.id, store.assign_attempt(job.id))

    @pytest.mark.parametrize(
        "query",
        [
            {},
            {"status": ["FAILED"]},
            {"status": ["FAILED", "RUNNING", "FAILED"]},
            {"kind": "evaluate"},
            {"kind": "train", "status": ["PENDING"]},
            {"name": "model-1"},
            {"name": "model-1", "status": ["FAILED"], "kind": "train"},
            {"name": "nobody"},
            {"tag": "team=risk"},
            {"tag": "team"},
            {"tag": "gold="},
            {"tag": "gold", "status": ["PENDING"]},
            {"tag": "team=risk", "name": "model-1", "kind": "train", "status": ["FAILED", "PENDING"]},
            {"tag": "nobody"},
            {"tag": "a\0b"},
        ],
        ids=str,
    )
    @pytest.mark.usefixtures("_twelve_jobs")
    def test_pages_hold_what_the_filter_says_newest_first(self, store: JobStore, query: dict[str, Any]) -> None:
        everything = store.list(JobQuery(limit=200)).items
        assert len(everything) == 12
        assert [job.id for job in everything] == sorted((job.id for job in everything), reverse=True)
        expected = [job for job in everything if meets(job, query)]
        for limit in (1, 5, 12, 200):
            pages = list(pages_of(store, JobQuery(limit=limit, **query)))
            assert [job for page in pages for job in page] == expected
            assert all(len(page) == limit for page in pages[:-1])

    @pytest.mark.usefixtures("_twelve_jobs")
    def test_jobs_that_come_meanwhile_move_no_page(self, store: JobStore) -> None:
        first = store.list(JobQuery(limit=6))
        new_job(store)
        second = store.list(JobQuery(limit=6, cursor=first.next_cursor))
        ids = [job.id for job in first.items + second.items]
        assert len(ids) == len(set(ids)) == 12
        assert second.next_cursor is None

    @pytest.mark.parametrize("cursor", ["", "x", "%%%", "ü", "am9iXw", "a" * 5000, "bm90IGFuIGlk"])
    def test_a_cursor_that_is_not_ours(self, store: JobStore, cursor: str) -> None:
        with pytest.raises(SpecError) as caught:
            store.list(JobQuery(cursor=cursor))
        assert caught.value.problems[0].field == "cursor"

    def test_a_table_of_rows_in_a_spec_is_left_out_of_lists_only(self, store: JobStore) -> None:
        spec = {"name": "big", "data": {"source": {"rows": ["x" * 100] * (MAX_LISTED_SPEC_CHARS // 100)}}}
        job, _ = store.create("train", "big", spec)
        assert store.get(job.id).spec == spec
        listed = store.list(JobQuery()).items[0]
        assert listed.spec["name"] == "big"
        assert job.id in listed.spec["omitted"]
        assert store.pending(1)[0].spec == spec


def pages_of(store: JobStore, query: JobQuery) -> Iterator[list[Job]]:
    cursor: str | None = None
    while True:
        page = store.list(query.model_copy(update={"cursor": cursor}))
        yield page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def meets(job: Job, query: dict[str, Any]) -> bool:
    key, separator, value = query.get("tag", "").partition("=")
    return (
        (not query.get("status") or job.status in query["status"])
        and query.get("kind", job.kind) == job.kind
        and query.get("name", job.name) == job.name
        and (not key or (key in job.tags and (not separator or job.tags[key] == value)))
    )
