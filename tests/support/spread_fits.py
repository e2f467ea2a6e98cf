"""Fits that are spread over workers, and what a test sees of the processes behind them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ray._private import state as ray_state
from ray.util import placement_group_table

from training.data.table import Column, Rows, TableSchema
from training.distributed import ENGINES, Spread
from training.errors import JobCancelledError
from training.events import SilentObserver
from training.models import FitContext, FitData, FittedModel
from training.spec import ModelSpec, TorchSpec, XGBoostSpec

CLASSES = {"binary": ("bad", "good"), "multiclass": ("a", "b", "c"), "regression": ()}
LABEL = "train:toy:job_1"
CHECKPOINTS = "checkpoints"
"""Of the job, below the folder of a fit."""
ROUNDS = 2000
LOOK_EVERY_S = 0.5
"""Whether workers are others by now."""
LONG_BOOSTING = XGBoostSpec(
    params={"n_estimators": ROUNDS, "learning_rate": 0.002, "max_depth": 3, "early_stopping_rounds": 0}
)
LONG_NETWORK = TorchSpec(
    architecture="mlp", params={"hidden_sizes": [16], "max_epochs": 80, "n_seeds": 1, "patience": 0, "batch_size": 16}
)


def table(task: str, rows: int, seed: int, *, weighted: bool) -> Rows:
    """Numbers, categories and gaps; few distinct values, so that bins do not depend on who sees which rows."""
    rng = np.random.default_rng(seed)
    amount = rng.integers(0, 60, rows).astype(np.float64)
    amount[rng.random(rows) < 0.1] = np.nan
    age = rng.integers(18, 80, rows).astype(np.float64)
    purpose = rng.choice(np.array(["car", "house", "study", None], dtype=object), rows)
    frame = pd.DataFrame({"amount": amount, "age": age, "purpose": purpose})
    score = np.nan_to_num(amount, nan=30.0) / 20 + 1.5 * (purpose == "car") + age / 40 + rng.normal(size=rows)
    weight = rng.uniform(0.5, 2.0, rows) if weighted else None
    if task == "regression":
        return Rows(frame, score, weight)
    cuts = [0.5] if task == "binary" else [0.33, 0.66]
    return Rows(frame, np.digitize(score, np.quantile(score, cuts)).astype(np.int64), weight)


def fit_data(task: str, rows: int = 600, *, weighted: bool = True) -> FitData:
    """Training and validation rows."""
    kinds = {"amount": "numeric", "age": "numeric", "purpose": "categorical"}
    columns = tuple(Column(name, kind, "feature", 0, 2) for name, kind in kinds.items())
    schema = TableSchema(columns, "target", task, CLASSES[task], ())
    return FitData(schema, table(task, rows, 1, weighted=weighted), table(task, rows // 3, 2, weighted=weighted))


class Watcher(SilentObserver):
    """Remembers what a fit tells, and does something once when the fit is so far and `ready` says so.

    With `until_restarted` it cancels the fit at a step that is told when other workers have taken the place of all
    that were there before.
    """

    def __init__(
        self,
        at_step: int = 0,
        act: Callable[[], None] | None = None,
        ready: Callable[[], bool] = lambda: True,
        *,
        until_restarted: bool = False,
    ) -> None:
        self.steps: list[int] = []
        self.waits: list[str] = []
        self.acted_at = 0
        self._at, self._act, self._ready, self._until_restarted = at_step, act, ready, until_restarted
        self._before: set[int] = set()
        self._look_at = 0.0

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.steps.append(step or 0)
        if self.acted_at and self._until_restarted and self._are_others():
            raise JobCancelledError("enough")
        if self._act is not None and self.steps[-1] >= self._at and self._ready():
            act, self._act = self._act, None
            self.acted_at = len(self.steps)
            self._before = set(workers().values())
            act()

    def _are_others(self) -> bool:
        # a fit tells of a thousand steps a second, and Ray's control store is not to be busy with that
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_EVERY_S
        found = set(workers().values())
        return bool(found) and found.isdisjoint(self._before)

    def waiting(self, message: str) -> None:
        if message and (not self.waits or self.waits[-1] != message):
            self.waits.append(message)


def spread_fit(
    engine: str, spec: ModelSpec, data: FitData, folder: Path, observer: SilentObserver | None = None, **spread: Any
) -> FittedModel:
    """One fit with two workers."""
    how: dict[str, Any] = {"num_workers": (2, 2), "cpus": 1, "gpus": 0, "memory_mb": None, "label": LABEL} | spread
    context = FitContext(seed=7, observer=observer or SilentObserver(), checkpoint_folder=folder / CHECKPOINTS)
    return ENGINES[engine, spec.family].fit(spec, data, context, Spread(folder=folder, **how))


ENDLESS = {"xgboost": "n_estimators", "torch": "max_epochs"}


def fit_until_enough(engine: str, spec: ModelSpec, folder: Path, heard: Watcher, **spread: Any) -> None:
    """One fit with two workers and no end of its own: the watcher ends it, after a restart that kept what was done."""
    endless = spec.model_copy(update={"params": {**spec.params, ENDLESS[spec.family]: 100_000}})
    with pytest.raises(JobCancelledError, match="enough"):
        spread_fit(engine, endless, fit_data("binary"), folder, heard, **spread)
    assert min(heard.steps[heard.acted_at :]) > 1, "it started from nothing"


def has_checkpoint(folder: Path) -> bool:
    """Whether a lost worker would cost less than the whole fit: the trees of xgboost-ray, or what Ray Train goes by."""
    return any((folder / CHECKPOINTS).glob("*")) or any(folder.rglob("checkpoint_manager_snapshot.json"))


def workers() -> dict[str, int]:
    """Process ids of living workers, by the name that Ray's dashboard shows."""
    found = {}
    for actor in ray_state.actors().values():
        name = f"{actor['ActorClassName']} {actor['Name']}"
        if actor["State"] == "ALIVE" and "worker" in name:
            found[name] = int(actor["Pid"])
    return found


def kill_a_worker() -> None:
    """As the system does when memory is short."""
    os.kill(max(workers().items())[1], signal.SIGKILL)


def stop_a_worker() -> None:
    """The process stays, and does nothing."""
    os.kill(max(workers().items())[1], signal.SIGSTOP)


def all_is_free(within_s: float) -> bool:
    """Whether every worker and every placement group is gone in so many seconds."""
    deadline = time.monotonic() + within_s
    while True:
        groups = [group for group in placement_group_table().values() if group["state"] != "REMOVED"]
        living = [
            actor for actor in ray_state.actors().values()
            # one for the whole cluster, which an elastic run of Ray Train starts
            if actor["State"] != "DEAD" and actor["Name"] != "AutoscalingCoordinator"
        ]  # fmt: skip
        if not groups and not living:
            return True
        if time.monotonic() > deadline:
            print(groups, living)
            return False
        time.sleep(0.05)
