"""The pool store on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ray_app.jobs.pools.model import NewPool, PoolAnswer, PoolState
from ray_app.jobs.pools.store import PoolStore
from ray_app.jobs.store import JobStore
from training.active_learning.spec import PoolSpec, example
from training.errors import ConflictError, NotFoundError, SpecError


@pytest.fixture
def store(store_url: str) -> Iterator[PoolStore]:
    with JobStore(store_url) as jobs:
        yield jobs.pools


def made(store: PoolStore, name: str, rows: int = 20, **changes: Any) -> str:
    spec = PoolSpec.model_validate(example() | changes).model_dump(mode="json")
    pool_id = store.create(NewPool(id=f"pool_{name}", name=name, spec=spec)).id
    state = PoolState(round=1, rows=100, left=100 - rows)
    store.query_came_back(pool_id, "job_1", result(range(rows)), state)
    return pool_id


def result(rows: Any, part: str = "active") -> dict[str, Any]:
    items = [
        {"id": f"r{row}", "part": part, "score": 1.0 - row / 1000, "why": {"strategy": "margin"}, "cells": {"x": row},
         "row_hash": "0" * 16, "cost": 2.0}
        for row in rows
    ]  # fmt: skip
    return {"rows": 100, "left": 80, "sha256": "s", "items": items, "changed": [], "evidence": None}


def answers(items: Any, label: str = "good") -> list[PoolAnswer]:
    return [PoolAnswer(id=item.id, label=label) for item in items]


def test_a_pool_is_what_was_stored(store: PoolStore) -> None:
    pool_id = made(store, "kept")
    found = store.get(pool_id)
    assert (found.name, found.state.rows, found.counts.queued, len(found.rounds)) == ("kept", 100, 20, 1)
    assert pool_id in store.ids()
    assert [item.id for item in store.items(pool_id)] == [f"r{row}" for row in range(20)]
    with pytest.raises(NotFoundError):
        store.get("pool_none")


def test_a_query_that_comes_back_twice_counts_once(store: PoolStore) -> None:
    pool_id = made(store, "twice")
    store.query_came_back(pool_id, "job_1", result(range(50, 60)), PoolState(round=2))
    assert len(store.items(pool_id)) == 20


def test_two_labellers_at_the_same_time_get_different_rows(store: PoolStore) -> None:
    pool_id = made(store, "together", rows=60)
    names = [f"labeller {number}" for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda name: store.lease(pool_id, name, 10), names))
    ids = [item.id for items in found for item in items]
    assert len(ids) == len(set(ids)) == 60


def test_rows_that_somebody_holds_are_counted(store: PoolStore) -> None:
    pool_id = made(store, "held")
    items = store.lease(pool_id, "ann", 5)
    store.answer(pool_id, "ann", answers(items[:2]))
    counts = store.get(pool_id).counts
    assert (counts.queued, counts.held, counts.held_random, counts.leased) == (18, 3, 0, 3)


def test_labels_are_stored_whole_or_not_at_all(store: PoolStore) -> None:
    pool_id = made(store, "whole")
    items = store.lease(pool_id, "ann", 5)
    with pytest.raises(SpecError, match="no row with this id"):
        store.answer(pool_id, "ann", [*answers(items), PoolAnswer(id="r99", label="good")])
    assert store.labels(pool_id) == []
    assert store.answer(pool_id, "ann", answers(items)).stored == 5
    counts = store.get(pool_id).counts
    assert (counts.active_labelled, counts.spent, counts.leased, counts.by_class) == (5, 10.0, 0, {"good": 5})


def test_a_row_of_another_is_refused(store: PoolStore) -> None:
    pool_id = made(store, "other")
    items = store.lease(pool_id, "ann", 1)
    with pytest.raises(ConflictError, match="was not handed to bob"):
        store.answer(pool_id, "bob", answers(items))
    assert store.answer(pool_id, "bob", answers(items), need_lease=False).stored == 1


def test_better_rows_take_the_place_of_those_that_nobody_holds(store: PoolStore) -> None:
    pool_id = made(store, "replaced")
    held = store.lease(pool_id, "ann", 3)
    store.answer(pool_id, "ann", answers(held[:1]))
    store.query_came_back(pool_id, "job_2", result(range(40, 45)), PoolState(round=2, replacing=True))
    assert [item.id for item in store.items(pool_id)] == ["r0", "r1", "r2", "r40", "r41", "r42", "r43", "r44"]
    assert store.get(pool_id).state.replacing is False


@pytest.mark.slow
def test_thousands_of_labels_in_one_request(store: PoolStore) -> None:
    pool_id = made(store, "many", rows=3_000)
    items = store.lease(pool_id, "ann", 3_000)
    assert store.answer(pool_id, "ann", answers(items)).stored == 3_000
    assert store.answer(pool_id, "ann", answers(items, "bad")).corrected == 3_000
    assert store.get(pool_id).counts.by_class == {"bad": 3_000}
