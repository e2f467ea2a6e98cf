"""Five fields of cron, in UTC: when something is due next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
MAX_DAYS = 366 * 8
"""A time that does not come within so many days, as the 30th of February, never comes."""


@dataclass(frozen=True)
class Cron:
    """Minutes, hours, days of the month, months and days of the week (0 and 7 are Sunday) at which something is due.

    As in Vixie cron, where both kinds of day are restricted, either of them is enough.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Reads "minute hour day month weekday", each `*`, a number, a range, a step, or several with commas.

        Raises:
            ValueError: names the field and its value, or says that the time never comes.
        """
        parts = text.split()
        if len(parts) != len(_FIELDS):
            raise ValueError(f"a schedule has 5 fields (minute hour day month weekday), {text!r} has {len(parts)}")
        minutes, hours, days, months, weekdays = (
            _values(part, name, low, high) for part, (name, low, high) in zip(parts, _FIELDS, strict=True)
        )
        either = not parts[2].startswith("*") and not parts[4].startswith("*")
        cron = cls(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)
        cron.next_after(datetime(2024, 1, 1))
        return cron

    def next_after(self, moment: datetime) -> datetime:
        """The first due minute after `moment`, in its zone.

        Raises:
            ValueError: there is none.
        """
        start = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = start
        for _ in range(MAX_DAYS):
            if self._is_day(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        due = day.replace(hour=hour, minute=minute)
                        if due >= start:
                            return due
            day = day.replace(hour=0, minute=0) + timedelta(days=1)
        raise ValueError("the schedule names a day that never comes")

    def _is_day(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        by_date, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (by_date or by_weekday) if self.either_day else (by_date and by_weekday)


def _values(part: str, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        try:
            if span == "*":
                first, last = low, high
            elif "-" in span:
                first, last = (int(bound) for bound in span.split("-"))
            else:
                first = int(span)
                last = high if step else first
            width = int(step) if step else 1
        except ValueError:
            raise ValueError(f"{name}: {item!r} is no number, range or step") from None
        if not (low <= first <= last <= high) or width < 1:
            raise ValueError(f"{name}: {item!r} is not within {low} to {high}")
        found.update(range(first, last + 1, width))
    return frozenset(found)
