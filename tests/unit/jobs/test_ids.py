from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ray_app.jobs.ids import IdFactory, checked_job_id, is_job_id
from training.errors import NotFoundError

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_ids_grow_with_time_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    factory = IdFactory()
    times = [NOW, NOW, NOW + timedelta(milliseconds=1), NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)]
    ids = [factory.new(time) for time in times]
    assert ids == sorted(set(ids))
    assert all(is_job_id(job_id) for job_id in ids)


def test_ids_of_many_threads_differ() -> None:
    factory = IdFactory()
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: factory.new(NOW), range(2000)))
    assert len(set(ids)) == 2000


def test_factories_of_two_processes_do_not_meet() -> None:
    one, other = IdFactory(), IdFactory()
    assert not {one.new(NOW) for _ in range(1000)} & {other.new(NOW) for _ in range(1000)}


@pytest.mark.parametrize(
    "text", ["", "job_", "job_" + "u" * 26, "job_" + "0" * 25, "JOB_" + "0" * 26, "job_" + "0" * 26 + "\n", "../x"]
)
def test_what_is_no_id_of_ours(text: str) -> None:
    with pytest.raises(NotFoundError):
        checked_job_id(text)
