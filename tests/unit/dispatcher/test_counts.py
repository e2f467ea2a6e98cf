"""Counting jobs."""

from __future__ import annotations

from ray_app.dispatcher.counts import Counts


def test_a_slow_count_is_made_less_often_and_a_fast_one_each_time() -> None:
    now, made = [100.0], [0]

    def count(took_s: float) -> dict[str, int]:
        now[0] += took_s
        made[0] += 1
        return {"PENDING": made[0]}

    counts = Counts(clock=lambda: now[0])
    assert [counts.read(lambda: count(0.1))["PENDING"] for _ in range(3)] == [1, 2, 3]
    assert [counts.read(lambda: count(2.0))["PENDING"] for _ in range(3)] == [4, 4, 4]
    now[0] += 61.0
    assert counts.read(lambda: count(2.0))["PENDING"] == 5
