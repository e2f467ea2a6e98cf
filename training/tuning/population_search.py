"""A search by population-based training, see population."""

from __future__ import annotations

import logging
import shutil
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.models import Stage
from training.result import TrialRow
from training.tuning.actor import Failure
from training.tuning.controller import Finding, Proposal
from training.tuning.population import STAGES, STALE_STAGES, Member, explored, successions
from training.tuning.search import Search
from training.tuning.setup import StudyOutcome
from training.tuning.work import TrialOutcome

logger = logging.getLogger("training")

STATES_FOLDER = "population"


@dataclass
class PopulationSearch(Search):
    """Every trial is a member. All of them end a stage before any begins the next, so that the same seed gives the same
    search however many run at once."""

    _members: dict[int, Member] = field(default_factory=dict)
    _queue: deque[int] = field(default_factory=deque)
    _stage: int = 0
    _best: list[float] = field(default_factory=list)
    """The best value after each stage, more is better."""
    _restored: int = 0

    def _control(self) -> None:
        self._gather()
        super()._control()

    def _gather(self) -> None:
        """The members: those of the attempt before, the default, the best of earlier studies, and what the searcher
        proposes."""
        ledger = self._ledger
        while ledger.begun < self.plan.tune.num_trials and self._ended_by == "trials":
            number = ledger.number()
            config = self._proposer.propose(number)
            if config is None:
                break
            ledger.first.append((number, config, "search"))
        for number, config, origin in ledger.first:
            known = self._journal.rows.get(number)
            self._members[number] = _restored(known) if known else Member(number, config)
            row = ledger.begin(number, config, origin)
            if known:
                # a later account of the same trial than that of the attempt before
                ledger.rows[number] = known.model_copy(update={"started_at": row.started_at})
        ledger.first.clear()
        self._restored = sum(1 for member in self._members.values() if member.schedule)
        if any(member.schedule and not self._file(member, -1).is_file() for member in self._members.values()):
            logger.warning("the states of the members are not in this folder; all of them begin anew")
            self._members = {number: Member(number, ledger.rows[number].params) for number in self._members}
        self._stage = min((len(member.schedule) for member in self._members.values()), default=0)
        self._fill()

    def _fill(self) -> None:
        """Who is to train the present stage; all are done where the process died before the next one began."""
        if self._stage < STAGES:
            waiting = [member.number for member in self._members.values() if len(member.schedule) == self._stage]
            self._queue = deque(waiting)

    def _propose(self) -> Proposal | None:
        if self._ended_by != "trials" or self._is_out_of_time() or not self._queue:
            return None
        member = self._members[self._queue.popleft()]
        if not member.schedule:
            row = self._ledger.rows[member.number]
            self._journal.write(row)
            self.listener.trial(row)
        stage = Stage(self._stage, STAGES, self._file(member, -1) if member.schedule else None, self._file(member, 0))
        is_free = self._deadline is None or (not self._has_result() and not self.setup.is_hard)
        return Proposal(member.number, member.config, None if is_free else time.time() + self._left_s(), stage)

    def _found(self, number: int, finding: Finding) -> None:
        member = self._members[number]
        if isinstance(finding, TrialOutcome):
            before = self._file(member, -1)
            member.trained(finding)
            self._note(member)
            before.unlink(missing_ok=True)
        elif isinstance(finding, Failure) and finding.is_process_death and number not in self._died:
            logger.warning("member %d trains its stage again: %s", number, finding.message)
            self._died.add(number)
            self._queue.appendleft(number)
            return
        else:
            del self._members[number]
            row = self._ledger.end(number, finding)
            self._journal.write(row)
            self.listener.trial(row)
            logger.warning("member %d failed: %s", number, row.error)
        if all(len(one.schedule) > self._stage for one in self._members.values()):
            self._next_stage()

    def _next_stage(self) -> None:
        """The worst go on from the best, or the search is over."""
        members = list(self._members.values())
        gains = [self.plan.goal.gains(values)[0] for values in self._measured().values()]
        self._best.append(max(gains, default=-np.inf))
        self._stage += 1
        target, first = self.plan.tune.stop.target, self.plan.goal
        if target is not None and self._best[-1] >= first.gains({first.first: target})[0]:
            self._ended_by = f"target: {first.first} reached {target:g}"
        elif len(self._best) > STALE_STAGES and max(self._best[-STALE_STAGES:]) <= max(self._best[:-STALE_STAGES]):
            self._ended_by = f"patience: {STALE_STAGES} stages without a better {first.first}"
        if self._stage >= STAGES or self._ended_by != "trials" or self._left_s() <= 0:
            return
        generator = np.random.default_rng([self.setup.seed, self._stage])
        for worse, better in successions(members, generator):
            logger.info("stage %d: member %d goes on from member %d", self._stage, worse.number, better.number)
            partial = self._file(worse, -1).with_suffix(".partial")
            shutil.copyfile(self._file(better, -1), partial)
            partial.replace(self._file(worse, -1))
            worse.config = explored(self.plan.space, better.config, generator)
            worse.schedule, worse.outcome = list(better.schedule), better.outcome
            self._note(worse)
        self._fill()

    def _note(self, member: Member) -> None:
        """The row of a member between two stages."""
        outcome = member.outcome
        if outcome is None:
            return
        row = self._ledger.rows[member.number].model_copy(
            update={
                "params": member.config, "schedule": list(member.schedule), "values": dict(outcome.values),
                "facts": dict(outcome.facts), "curve": outcome.curve, "curve_metric": outcome.curve_metric,
            }
        )  # fmt: skip
        self._ledger.rows[member.number] = row
        self._journal.write(row)
        measured = self._measured()
        if measured:
            best = max(measured, key=lambda number: self.plan.goal.rank(measured[number]))
            self.listener.best(self._ledger.rows[best], len(self._ledger.ended))

    def _measured(self) -> dict[int, Mapping[str, float]]:
        """Values of the members that have ended a stage, by number."""
        found = {member.number: member.outcome.values for member in self._members.values() if member.outcome}
        return {number: values for number, values in found.items() if self.plan.goal.has_values(values)}

    def _end_running(self) -> None:
        """Every member that has ended a stage is a trial that is complete."""
        for member in self._members.values():
            if member.outcome is None:
                continue
            self._ledger.rows[member.number] = self._ledger.rows[member.number].model_copy(
                update={"params": member.schedule[-1]}
            )
            row = self._ledger.end(member.number, member.outcome)
            self._journal.write(row)
            self.listener.trial(row)
        super()._end_running()
        shutil.rmtree(self.setup.folder / STATES_FOLDER, ignore_errors=True)

    def _outcome(self, resumed: int) -> StudyOutcome:
        return super()._outcome(resumed + self._restored)

    def _file(self, member: Member, ago: int) -> Path:
        """The state of the member at the end of the stage that it is to train, or of the one before."""
        return self.setup.folder / STATES_FOLDER / f"{member.number}-{len(member.schedule) + ago}.pt"

    def _has_result(self) -> bool:
        return any(member.outcome is not None for member in self._members.values())

    def _fraction(self) -> float:
        done = sum(len(member.schedule) for member in self._members.values())
        by_stages = done / (STAGES * max(1, len(self._members)))
        if self._deadline is None or not self.setup.budget_s:
            return min(1.0, by_stages)
        return min(1.0, max(by_stages, 1.0 - self._left_s() / self.setup.budget_s))


def _restored(row: TrialRow) -> Member:
    """The member as its row tells."""
    outcome = None
    if row.schedule:
        outcome = TrialOutcome(row.values, row.facts, list(row.curve), row.curve_metric, 0.0)
    return Member(row.number, row.params, list(row.schedule), outcome)
