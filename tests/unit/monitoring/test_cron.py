"""When a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from training.monitoring.cron import Cron

NOW = datetime(2026, 1, 31, 22, 30, 15, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("* * * * *", "2026-01-31T22:31"),
        ("0 3 * * *", "2026-02-01T03:00"),
        ("*/20 22 * * *", "2026-01-31T22:40"),
        ("0 0 1 * *", "2026-02-01T00:00"),
        ("15 4 29 2 *", "2028-02-29T04:15"),
        ("0 12 * * 1-5", "2026-02-02T12:00"),
        ("0 12 * * 7", "2026-02-01T12:00"),
        ("0 0 13 * 5", "2026-02-06T00:00"),
        ("5,10 1-3/2 * 3 *", "2026-03-01T01:05"),
    ],
)
def test_the_next_time(text: str, due: str) -> None:
    assert Cron.parse(text).next_after(NOW).strftime("%Y-%m-%dT%H:%M") == due


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("* * * *", "has 4"),
        ("60 * * * *", "minute: '60' is not within 0 to 59"),
        ("* * * * mon", "day of week: 'mon'"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("0 0 30 2 *", "never comes"),
    ],
)
def test_what_is_no_schedule_says_why(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Cron.parse(text)
