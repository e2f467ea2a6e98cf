"""One boosting run: quantised matrices built in batches, and the callback that reports, stops and checkpoints."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from training.data.table import Rows
from training.errors import JobCancelledError
from training.models.fitting import plain_message
from training.models.xgboost_params import BoostingPlan
from training.mts_scoring.encoder import TableEncoder

VALIDATION = "validation"
EVERY_IF_ALL_ARE_KEPT, EVERY_OF_MANY_ROWS = 10, 5
"""Rounds after which the held-out rows are measured again."""
MANY_ROWS = 50_000
"""Held out: fewer are measured after each round, which costs little then."""

logger = logging.getLogger("training")

BATCH_VALUES = 8_000_000
"""Encoded float32 values held at once (32 MB): fewer cost XGBoost time, more would be the peak of the fit."""
CHECKPOINT_EVERY_S = 30.0
CHECKPOINT_FILE = "xgboost-checkpoint.ubj"
_STATE = "mts_checkpoint"


class EncodedBatches(xgb.DataIter):  # type: ignore[misc]  # xgboost ships no types
    """Feeds rows to a QuantileDMatrix in batches encoded on the fly; XGBoost passes over them several times."""

    def __init__(self, encoder: TableEncoder, rows: Rows) -> None:
        super().__init__()
        self._encoder, self._rows = encoder, rows
        self._batch_rows = max(1, BATCH_VALUES // len(encoder.names))
        self._start = 0
        self._only_batch = encoder.transform(rows.frame) if len(rows) <= self._batch_rows else None

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hands over one batch; False when there is none left."""
        start, stop = self._start, min(self._start + self._batch_rows, len(self._rows))
        if start >= stop:
            return False
        self._start = stop
        rows, only = self._rows, self._only_batch
        input_data(
            data=only if only is not None else self._encoder.transform(rows.frame.iloc[start:stop]),
            label=rows.target[start:stop],
            weight=None if rows.weight is None else rows.weight[start:stop],
            feature_types=["c" if categorical else "q" for categorical in self._encoder.is_categorical],
        )
        return True

    def reset(self) -> None:
        """Goes back to the first batch."""
        self._start = 0


def quantile_matrix(
    encoder: TableEncoder, rows: Rows, params: Mapping[str, Any], threads: int, ref: xgb.DMatrix | None = None
) -> xgb.QuantileDMatrix:
    """The rows as histogram bins. Validation rows take the bins of the training rows, `ref`."""
    max_bin = int(params.get("max_bin", 256))
    return xgb.QuantileDMatrix(
        EncodedBatches(encoder, rows), ref=ref, nthread=threads, max_bin=max_bin, enable_categorical=True
    )


@dataclass
class BoostingState:
    """How far a boosting run is: rounds done, the best of them counted from 0, and its validation metric."""

    rounds: int = 0
    best_round: int = -1
    best_score: float | None = None
    stopped_by: str = "rounds"


class StepReporter(Protocol):
    """Hears of each round; see FitReporter."""

    def step(self, done: int, metrics: Mapping[str, float]) -> bool:
        """True when the fit should stop for its deadline."""


class StateSaver(Protocol):
    """Keeps the trees now and then; see Checkpoints."""

    def save_if_due(self, booster: xgb.Booster, state: BoostingState) -> None:
        """Saves when it is time to."""


class Checkpoints:
    """The trees so far, in one file that is replaced atomically.

    A restarted fit goes on after the last checkpoint. Without row or column sampling the result is the same as that
    of a fit that was never interrupted; with sampling it draws other samples, so that it is as good but not equal:
    XGBoost does not save the state of its random numbers.
    """

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self._file = folder / CHECKPOINT_FILE if folder else None
        self._fingerprint = fingerprint
        self._next = time.monotonic() + CHECKPOINT_EVERY_S
        self._problem = ""
        """Why the last checkpoint could not be written."""

    def load(self) -> tuple[xgb.Booster, BoostingState] | None:
        """The trees and the state that were saved by the same fit of the same rows; None to start from nothing."""
        if self._file is None or not self._file.exists():
            return None
        try:
            booster = xgb.Booster(model_file=self._file)
            saved: dict[str, Any] = json.loads(booster.attr(_STATE) or "{}")
        except (xgb.core.XGBoostError, ValueError) as error:
            logger.warning("checkpoint cannot be read, the fit starts anew: %s", plain_message(error))
            return None
        if saved.get("fingerprint") != self._fingerprint:
            logger.warning("checkpoint is of another fit, the fit starts anew")
            return None
        booster.set_attr(**{_STATE: None})
        logger.info("goes on after round %d from a checkpoint", booster.num_boosted_rounds())
        return booster, BoostingState(**saved["state"])

    def save_if_due(self, booster: xgb.Booster, state: BoostingState) -> None:
        """Saves when CHECKPOINT_EVERY_S have passed since the last time."""
        if time.monotonic() >= self._next:
            self.save(booster, state)

    def save(self, booster: xgb.Booster, state: BoostingState) -> None:
        """Saves now; nothing happens where there is no folder.

        What cannot be written is told, and the fit goes on: it is worth more than its checkpoint.
        """
        if self._file is None:
            return
        booster.set_attr(**{_STATE: json.dumps({"fingerprint": self._fingerprint, "state": asdict(state)})})
        trees = booster.save_raw("ubj")
        booster.set_attr(**{_STATE: None})
        try:
            _replace(self._file, trees)
        except OSError as error:
            problem = error.strerror or str(error)
            if problem != self._problem:
                logger.warning(
                    "no checkpoint can be written to %s: %s; the fit goes on, and what it does until one can be "
                    "written is lost with its process", self._file.parent, problem,
                )  # fmt: skip
            self._problem = problem
        else:
            if self._problem:
                logger.info("checkpoints are written again")
            self._problem = ""
        self._next = time.monotonic() + CHECKPOINT_EVERY_S


def _replace(file: Path, content: bytes | bytearray) -> None:
    """Writes the file whole or not at all. Not by XGBoost, which does not notice that the last bytes found no room."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.ubj")
    try:
        partial.write_bytes(content)
        os.replace(partial, file)  # noqa: PTH105 - the atomic rename, by its own name
    except OSError:
        partial.unlink(missing_ok=True)
        raise


class Boosting(xgb.callback.TrainingCallback):  # type: ignore[misc]  # xgboost ships no types
    """After each round: notes the best one, reports, checkpoints, and says whether to stop.

    `patience`: rounds without a better validation metric after which to stop; 0 never stops.
    """

    def __init__(
        self,
        plan: BoostingPlan,
        patience: int,
        reporter: StepReporter,
        checkpoints: StateSaver,
        state: BoostingState,
    ) -> None:
        super().__init__()
        self._plan, self._patience, self._reporter, self._checkpoints = plan, patience, reporter, checkpoints
        self.state = state

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: Mapping[str, Any]) -> bool:
        """True ends the fit.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """
        state = self.state
        state.rounds += 1
        metrics = {}
        for side, history in evals_log.items():
            score = float(history[self._plan.metric][-1])
            metrics[f"{side}/{self._plan.metric_name}"] = score
            if self._is_better(score):
                state.best_score, state.best_round = score, state.rounds - 1
        out_of_time = self._reporter.step(state.rounds, metrics)
        self._checkpoints.save_if_due(model, state)
        if out_of_time:
            state.stopped_by = "deadline"
        elif self._patience and state.rounds - 1 - state.best_round >= self._patience:
            state.stopped_by = "early stopping"
        return state.stopped_by != "rounds"

    def _is_better(self, score: float) -> bool:
        best = self.state.best_score
        if best is None:
            return True
        return score > best if self._plan.maximize else score < best


@dataclass(frozen=True)
class Measuring:
    """Measures after every so many rounds, and after the last."""

    every: int
    last: int

    @classmethod
    def of(cls, patience: int, validation_rows: int, rounds: int) -> Measuring | None:
        """None for each round. To measure 160,000 rows after each of 1,500 rounds took a sixth of the fit.

        Where every round is kept, nothing depends on it but the curve that people look at. Where the best round is
        looked for among many rows, it is found to the next few rounds; which is best by less than that is chance.
        """
        if not patience:
            return cls(EVERY_IF_ALL_ARE_KEPT, rounds)
        if validation_rows >= MANY_ROWS and patience >= 2 * EVERY_OF_MANY_ROWS:
            return cls(EVERY_OF_MANY_ROWS, rounds)
        return None

    def is_due(self, done: int) -> bool:
        """After so many rounds."""
        return done % self.every == 0 or done == self.last


class LocalBoosting(Boosting):
    """That of a fit in one process: where it is asked to stop, the next attempt can go on from there."""

    def __init__(
        self, plan: BoostingPlan, patience: int, reporter: StepReporter, checkpoints: Checkpoints, state: BoostingState
    ) -> None:
        super().__init__(plan, patience, reporter, checkpoints, state)
        self._own = checkpoints
        self.measuring: Measuring | None = None
        """How the held-out rows are measured where XGBoost does not do so after each round."""
        self.held_out: xgb.DMatrix | None = None
        self.held_out_scores: tuple[int, npt.NDArray[np.float32]] | None = None
        """What the first so many rounds say of `held_out`."""

    def after_training(self, model: xgb.Booster) -> xgb.Booster:
        """XGBoost knows what all trees say of the rows that it measured; behind this it forgets it, and to walk through
        all trees again takes seconds."""
        if self.held_out is not None and self.held_out_scores is None:
            self.held_out_scores = self.state.rounds, model.predict(self.held_out)
        return model

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: Mapping[str, Any]) -> bool:
        """True ends the fit.

        Raises:
            JobCancelledError: somebody asked the job to stop; the trees so far are saved.
        """
        try:
            return super().after_iteration(model, epoch, self._measured(model, epoch) or evals_log)
        except JobCancelledError:
            self._own.save(model, self.state)
            raise

    def _measured(self, model: xgb.Booster, epoch: int) -> dict[str, dict[str, list[float]]]:
        """The metric of the held-out rows, where it is due."""
        done, held_out = self.state.rounds + 1, self.held_out
        if held_out is None or self.measuring is None or not self.measuring.is_due(done):
            return {}
        told: str = model.eval_set([(held_out, VALIDATION)], epoch)
        score = float(told.partition(f"{VALIDATION}-{self._plan.metric}:")[2].split("\t")[0])
        if self._patience and self._is_better(score):
            self.held_out_scores = done, model.predict(held_out)
        return {VALIDATION: {self._plan.metric: [score]}}
