"""One boosting run through Ray Train."""

from __future__ import annotations

from contextlib import ExitStack

import xgboost as xgb
from ray.train.v2.xgboost.xgboost_trainer import XGBoostTrainer

from training.distributed.base import Spread
from training.distributed.connection import ensure_connected
from training.distributed.train_control import steered
from training.distributed.train_run import TrainRun
from training.distributed.train_xgboost_worker import TrackerConfig, boost
from training.distributed.xgboost_driver import BoostingRun, check_rows, shards_of
from training.distributed.xgboost_tracker import Tracker
from training.models import FitContext, FitData, FittedModel
from training.models.fitting import fit_errors
from training.models.xgboost_model import set_up
from training.spec import ModelSpec


def fit(spec: ModelSpec, data: FitData, context: FitContext, spread: Spread) -> FittedModel:
    """Fits, see Engine."""
    check_rows(data, spread)
    ensure_connected()
    with ExitStack() as stack, fit_errors("xgboost", xgb.core.XGBoostError):
        tracker = Tracker()
        stack.callback(tracker.stop)
        train_run = TrainRun("xgboost", spread, context.observer)
        stack.callback(train_run.close)
        run = BoostingRun(set_up(spec, data, context.seed), data, context, spread)
        if not run.is_over:
            train, validation = stack.enter_context(shards_of(data, run.setup, spread))
            trainer = steered(XGBoostTrainer)(
                boost,
                train_loop_config={"task": run.task(train, validation, train_run.mailbox)},
                xgboost_config=TrackerConfig(early=tracker),
                **train_run.settings(),
            )
            train_run.fit(trainer, run.hear)
        return run.fitted()
