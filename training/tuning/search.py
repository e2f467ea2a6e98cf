"""A search for hyperparameters from its first trial to its best one, on Ray Tune."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace

import ray

from training.errors import FitError
from training.tuning.actor import Failure, WorkReference
from training.tuning.cluster import slots_for
from training.tuning.controller import Finding, Proposal, StudyController
from training.tuning.forecasts import Forecasts
from training.tuning.journal import Journal
from training.tuning.ledger import Ledger
from training.tuning.plan import StudyPlan
from training.tuning.proposers import make_proposer
from training.tuning.schedulers import LONG_SEARCH_TRIALS, PACES, make_scheduler
from training.tuning.setup import StudyListener, StudyOutcome, StudySetup
from training.tuning.stops import StopRule, expected_gain
from training.tuning.work import Progress, TrialWork

logger = logging.getLogger("training")

LATE_S, LATE_SHARE = 5.0, 0.1
"""After the time budget, for fits that return the best so far; plus a share of the budget. Then they are ended."""
NOISE_EVERY = 20
"""Once there are more trials than so many, the gain still to be expected is asked for after each further twentieth."""
SEED_STEP = 7919
"""Keeps a resumed searcher from proposing what the attempt before it proposed."""


@dataclass
class Search:
    """The trials of one study: proposes them, hears what became of them, and says when there are enough."""

    plan: StudyPlan
    setup: StudySetup
    listener: StudyListener
    _ended_by: str = "trials"
    _died: set[int] = field(default_factory=set)

    def run(self, work: TrialWork) -> StudyOutcome:
        """Runs it, see run_study."""
        self._journal = Journal(self.setup.folder, self.setup.fingerprint)
        self._ledger = Ledger(self.plan.goal, Forecasts(self.plan.space, self.plan.goal))
        self._ledger.resume(self._journal.rows)
        resumed = len(self._ledger.ended)
        seed = self.setup.seed + SEED_STEP * resumed
        self._proposer = make_proposer(self.plan.tune.searcher, self.plan.space, self.plan.goal, seed)
        self._stops = StopRule(self.plan.tune.stop, self.plan.goal)
        for row in self._ledger.ended:
            self._proposer.learn(row)
            self._stops.learn(row)
            self.listener.trial(row)  # who died may not have come to tell of it
        if not self._journal.rows:
            for start in self.plan.starts:
                self._ledger.expect(dict(start), "default")
            for config in self.setup.earlier:
                self._ledger.expect(config, "earlier")
            for known in () if self.setup.earlier else self.plan.known:
                self._ledger.expect(dict(known), "search")
        self._deadline = None if self.setup.budget_s is None else time.monotonic() + self.setup.budget_s
        self._work = replace(work, pace=PACES[self.plan.scheduler])
        self._stop_if_enough()
        self._control()
        return self._outcome(resumed)

    def _control(self) -> None:
        """Tune's loop until the last trial is over."""
        slots = slots_for(self.setup.resources, self.plan.tune.num_trials, self.plan.tune.max_concurrent_trials)
        work = ray.put(self._work)
        controller = StudyController(
            self.setup.folder, WorkReference(work), slots,
            make_scheduler(self.plan.scheduler, self._ledger.forecasts, is_short=self._is_short()),
            propose=self._propose, found=self._found,
        )  # fmt: skip
        try:
            while controller.advance():
                self.listener.progress(self._fraction())
                if self._is_late():
                    self._ended_by = "time"
                    break
        finally:
            controller.close()
        self._end_running()

    def _propose(self) -> Proposal | None:
        if self._ended_by != "trials" or self._is_out_of_time():
            return None
        ledger = self._ledger
        if ledger.first:
            number, config, origin = ledger.first.popleft()
        elif ledger.begun >= self._num_trials():
            return None
        else:
            number, origin = ledger.begun, "search"
            proposed = self._proposer.propose(number)
            if proposed is None:
                self._ended_by = "grid"
                return None
            config = proposed
            ledger.number()
        row = ledger.begin(number, config, origin)
        self._journal.write(row)
        self.listener.trial(row)
        is_free = self._deadline is None or (number == 0 and not self.setup.is_hard)
        return Proposal(number, config, None if is_free else time.time() + self._left_s())

    def _found(self, number: int, finding: Finding) -> None:
        if isinstance(finding, Failure) and finding.is_process_death and number not in self._died:
            row = self._ledger.rows[number]
            logger.warning("trial %d is run again: %s", number, finding.message)
            self._died.add(number)
            self._ledger.first.append((number, row.params, row.origin))
            return
        row = self._ledger.end(number, finding)
        self._journal.write(row)
        self._proposer.learn(row)
        self._stops.learn(row)
        self.listener.trial(row)
        if row.status == "FAILED":
            logger.warning("trial %d failed: %s", number, row.error)
        best = self._ledger.best()
        if best is not None:
            self.listener.best(best, len(self._ledger.ended))
        if number != 0 and number not in self._ledger.best_numbers(self.setup.kept_scores):
            self._work.scores_file(number).unlink(missing_ok=True)
        self._stop_if_enough()

    def _stop_if_enough(self) -> None:
        reason = self._stops.reason() or self._below_noise()
        if reason is not None:
            self._ended_by = reason

    def _below_noise(self) -> str | None:
        if not self.plan.tune.stop.below_noise or self.setup.noise is None:
            return None
        best, ended = self._ledger.best(), len(self._ledger.ended)
        if best is None or ended % max(1, ended // NOISE_EVERY):
            return None
        gain = expected_gain(self.plan.space, self.plan.goal, self._ledger.ended, self.setup.seed)
        if gain == float("inf"):
            return None
        noise = self.setup.noise(best)
        return f"noise: a gain of {gain:.2g} is expected, the noise is {noise:.2g}" if gain < noise else None

    def _is_short(self) -> bool:
        return self._num_trials() < LONG_SEARCH_TRIALS or self.setup.budget_s is not None

    def _num_trials(self) -> int:
        """A grid may have one trial more: that of the default configuration."""
        return self.plan.tune.num_trials + (self.plan.tune.searcher == "grid")

    def _fraction(self) -> float:
        by_trials = len(self._ledger.ended) / self._num_trials()
        if self._deadline is None or not self.setup.budget_s:
            return min(1.0, by_trials)
        return min(1.0, max(by_trials, 1.0 - self._left_s() / self.setup.budget_s))

    def _left_s(self) -> float:
        return float("inf") if self._deadline is None else self._deadline - time.monotonic()

    def _is_out_of_time(self) -> bool:
        """Notes it as the reason that the search ends. The first trial is always run."""
        if self._left_s() > 0 or not (self._ledger.ended or self._has_result()):
            return False
        self._ended_by = "time"
        return True

    def _is_late(self) -> bool:
        late_s = LATE_S + LATE_SHARE * (self.setup.budget_s or 0.0)
        return self._left_s() < -late_s and self._has_result()

    def _has_result(self) -> bool:
        """Whether a trial can be refitted."""
        return self._ledger.best() is not None

    def _end_running(self) -> None:
        """Trials that there was no time for, or no need."""
        for row in [row for row in self._ledger.rows.values() if row.status == "RUNNING"]:
            ended = self._ledger.end(row.number, Progress([], None))
            self._journal.write(ended)
            self.listener.trial(ended)

    def _outcome(self, resumed: int) -> StudyOutcome:
        best = self._ledger.best()
        rows = [row for _, row in sorted(self._ledger.rows.items())]
        if best is None:
            causes = [row.error for row in rows if row.error] or ["none was run to its end"]
            raise FitError(f"all {len(rows)} trials of the search failed; the first by: {causes[0]}")
        logger.info(
            "search ended by %s after %d trials: trial %d is best, %s", self._ended_by, len(rows), best.number,
            ", ".join(f"{name} {best.values[name]:.5g}" for name in self.plan.goal.objectives),
        )  # fmt: skip
        return StudyOutcome(best, rows, self._ended_by, resumed, 0.0)
