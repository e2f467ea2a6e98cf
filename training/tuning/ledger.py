"""The trials of a running study: what is to be tried first, what has been found, which is best."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from training.result import TrialRow
from training.tuning.actor import Failure
from training.tuning.controller import Finding
from training.tuning.forecasts import Forecasts
from training.tuning.objective import Goal
from training.tuning.work import Progress

MILESTONE = "milestone"
"""The fact of a trial that was ended early which says where; the same for trials that are equally far."""
FORECAST = "forecast"
"""And the one that says what the first objective would have come to."""
Origin = Literal["default", "earlier", "search"]


@dataclass
class Ledger:
    """All trials by number, and the order in which they ended."""

    goal: Goal
    forecasts: Forecasts
    rows: dict[int, TrialRow] = field(default_factory=dict)
    ended: list[TrialRow] = field(default_factory=list)
    first: deque[tuple[int, dict[str, Any], Origin]] = field(default_factory=deque)
    """Trials whose configurations are known beforehand."""
    _next: int = 0
    _order: list[tuple[tuple[float, float], int]] = field(default_factory=list)
    """Rank and negative number of the complete trials, ascending, so that no trial costs more the more there are."""

    def resume(self, rows: Mapping[int, TrialRow]) -> None:
        """Takes over the trials of an attempt before; those that it did not finish are to be run again."""
        for number, row in sorted(rows.items()):
            self._next = max(self._next, number + 1)
            if row.status == "RUNNING":
                self.first.append((number, row.params, row.origin))
            else:
                self._note(row)

    def expect(self, config: dict[str, Any], origin: Origin) -> None:
        """A configuration to try before the searcher is asked."""
        self.first.append((self.number(), config, origin))

    def number(self) -> int:
        """Of the next trial."""
        self._next += 1
        return self._next - 1

    @property
    def begun(self) -> int:
        """Trials that have begun or are sure to."""
        return self._next

    def begin(self, number: int, config: dict[str, Any], origin: Origin) -> TrialRow:
        """A trial begins."""
        row = TrialRow(number=number, status="RUNNING", origin=origin, params=config, started_at=_now())
        self.rows[number] = row
        return row

    def end(self, number: int, finding: Finding) -> TrialRow:
        """A trial is over."""
        row = self.rows[number]
        row = row.model_copy(update={"finished_at": _now()} | self._found(row.params, finding))
        self._note(row)
        return row

    def _note(self, row: TrialRow) -> None:
        self.rows[row.number] = row
        self.ended.append(row)
        self.forecasts.learn(row)
        if row.status == "COMPLETE":
            insort(self._order, (self.goal.rank(row.values), -row.number))

    def best(self) -> TrialRow | None:
        """The complete trial that ranks first; of equal ones the one with the lowest number."""
        return self.rows[-self._order[-1][1]] if self._order else None

    def best_numbers(self, count: int) -> set[int]:
        """Numbers of the best complete trials."""
        return {-place for _, place in self._order[-count:]}

    def _found(self, params: dict[str, Any], finding: Finding) -> dict[str, Any]:
        if isinstance(finding, Failure):
            return {"status": "FAILED", "error": finding.message[:500]}
        if isinstance(finding, Progress):
            facts = {MILESTONE: float(finding.milestone)} if finding.milestone else {}
            forecast = self.forecasts.of(params, finding.curve, finding.curve_metric)
            if forecast is not None:
                facts[FORECAST] = self.goal.value(forecast.gain)
            return {
                "status": "STOPPED", "curve": finding.curve, "curve_metric": finding.curve_metric, "facts": facts,
            }  # fmt: skip
        found = {
            "values": dict(finding.values), "facts": dict(finding.facts), "curve": finding.curve,
            "curve_metric": finding.curve_metric,
        }  # fmt: skip
        if not self.goal.has_values(finding.values):
            missing = [name for name in self.goal.objectives if name not in finding.values]
            return found | {
                "status": "FAILED",
                "error": f"{missing[0]} is not defined on the rows that it is measured on",
            }
        return found | {"status": "COMPLETE", "feasible": self.goal.violation(finding.values) == 0.0}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
