"""One fit through xgboost-ray, over as many starts of its actors as it takes."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from functools import partial

import xgboost as xgb
from ray.exceptions import RayError

from training.distributed.base import Spread
from training.distributed.connection import ensure_connected
from training.distributed.gang import Gang
from training.distributed.losses import Loss, Restarts, WorkersLostError
from training.distributed.mailbox import Mailbox
from training.distributed.ray_errors import cause_of_death, original, verdict
from training.distributed.shards import Shards
from training.distributed.watch import Watch
from training.distributed.xgboost_driver import BoostingRun, check_rows, shards_of
from training.distributed.xgboost_ray_adapter import Crew
from training.models import FitContext, FitData, FittedModel
from training.models.fitting import fit_errors
from training.models.xgboost_model import set_up
from training.spec import ModelSpec

logger = logging.getLogger("training")


def fit(spec: ModelSpec, data: FitData, context: FitContext, spread: Spread) -> FittedModel:
    """Fits, see Engine."""
    check_rows(data, spread)
    ensure_connected()
    with ExitStack() as stack, fit_errors("xgboost", xgb.core.XGBoostError):
        starts = Starts(spread)
        stack.callback(starts.close)
        run = BoostingRun(set_up(spec, data, context.seed), data, context, spread)
        if not run.is_over:
            train, validation = stack.enter_context(shards_of(data, run.setup, spread))
            starts.until_over(run, train, validation)
        return run.fitted()


class Starts:
    """The room, the mailbox and the present actors of one fit. The first ones start when this is made."""

    def __init__(self, spread: Spread) -> None:
        self._spread = spread
        self._gang = Gang.reserve(spread.label, spread.bundle, spread.max_workers)
        self._mailbox = Mailbox.start(spread.label)
        self._restarts = Restarts(spread)
        self._number = 0
        self._crew = self._new_crew()

    def until_over(self, run: BoostingRun, train: Shards, validation: Shards | None) -> None:
        """Starts the actors again until the run is over or the budget is spent.

        Raises:
            WorkerLostError: workers were lost too often.
            FitError: a worker raised.
        """
        while True:
            watch = Watch(
                self._mailbox, run.context.observer, run.hear, self._spread.hang_timeout_s, self._spread.max_workers
            )
            try:
                self._gang.wait(run.context.observer)
                watch.during(partial(self._crew.train, run.task(train, validation, self._mailbox)))
            except WorkersLostError as lost:
                loss = lost.loss
            except RayError as error:
                watch.last_look()
                loss = self._loss(watch, error)
            if run.is_over:
                return
            logger.warning("%s", self._restarts.spend(loss))
            self._crew.end()
            self._mailbox.forget()
            self._gang.leave_draining()
            self._crew = self._new_crew()

    def close(self) -> None:
        """Ends whatever is left, and gives the room back."""
        self._crew.end()
        self._gang.release()
        self._mailbox.close()

    def _new_crew(self) -> Crew:
        self._number += 1
        spread = self._spread
        label = spread.label if self._number == 1 else f"{spread.label}:start-{self._number}"
        return Crew(self._mailbox, self._gang.group, spread.bundle, spread.max_workers, label, self._number)

    def _loss(self, watch: Watch, error: RayError) -> Loss:
        """Which worker was lost, and how.

        Raises:
            FitError: none was; its own code raised.
        """
        dead, cause = self._crew.dead, original(error)
        if not dead:
            raise watch.failure("xgboost", cause) from error
        rank = dead[0]
        known = watch.started.get(rank)
        # the first to raise may be the one that lost its peer
        said = verdict(lambda: self._crew.death_of(rank), known.node_id if known else None)
        cause = said.error or cause
        return watch.loss(rank, "node" if said.with_node else "died", cause_of_death(cause))
