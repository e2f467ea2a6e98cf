"""Weights & Biases beside MLflow: the same parameters and metrics, and never a reason for a job to fail."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from training.errors import TrainingError
from training.events import Phase
from training.registry.params import flat_params
from training.registry.tracking import RunTracker, flat_metrics
from training.result import TrainResult
from training.spec import TrainSpec, WandbSpec

logger = logging.getLogger("training")

INIT_TIMEOUT_S = 20
"""For the server to answer; in the background."""
CLOSE_TIMEOUT_S = 30.0
"""At the end of the job, for what is still to be sent."""
FOLDER = "wandb"
"""Of an offline run among the artifacts of the job's run: what `wandb sync` sends later."""

Step = Callable[[Any], Any]
"""Is given what the step before it has answered, at first None; answers the run."""


class WandbMirror:
    """Hears a job, and tells it to Weights & Biases from a thread of its own.

    The first call that fails is logged, and ends the mirror: what comes after it is dropped. The key is read by the
    library from WANDB_API_KEY or its own file.
    """

    def __init__(self, asked: WandbSpec, spec: TrainSpec, tracker: RunTracker) -> None:
        self._asked = asked
        self._config = flat_params(spec.model_dump(mode="json"))
        self._tracker = tracker
        self._folder = tempfile.TemporaryDirectory(prefix="mts-wandb-", ignore_cleanup_errors=True)
        self._queue: SimpleQueue[Step | None] = SimpleQueue()
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._work, name=f"wandb-{tracker.job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._queue.put(self._begin)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        exit_code = 0 if kind is None else 1
        self._queue.put(lambda run: run.finish(exit_code=exit_code))
        self._queue.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            self._problem = f"not done within {CLOSE_TIMEOUT_S:g} s"
        if self._problem is not None:
            logger.warning("not all of the job is in Weights & Biases: %s", self._problem)
        if self._asked.mode == "offline":
            self._keep()
        self._folder.cleanup()

    def phase(self, phase: Phase) -> None:
        """Does nothing: a run has no phases."""

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Does nothing: a run has no progress."""

    def waiting(self, message: str) -> None:
        """Does nothing, as above."""

    def log(self, message: str) -> None:
        """Does nothing: the log is in MLflow."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Figures of the running fit; `step` is a column beside them, for theirs may go back where there are folds."""
        row = {name: float(value) for name, value in values.items()} | ({} if step is None else {"step": step})
        self._queue.put(lambda run: (run.log(row), run)[1])

    def result(self, result: TrainResult) -> None:
        """The hold-out metrics, the version and the gate's decision, as the run's summary."""
        facts = {
            **flat_metrics(result.metrics), "model": result.model.uri, "mlflow_run_id": result.run_id,
            "data_sha256": result.data.sha256, "gate": result.gate.decision if result.gate else None,
        }  # fmt: skip
        self._queue.put(lambda run: (run.summary.update(facts), run)[1])

    def _begin(self, _: Any) -> Any:
        if find_spec("wandb") is None:
            raise ModuleNotFoundError("wandb is not installed; the operator installs model-training-service[wandb]")
        import wandb  # noqa: PLC0415 - an extra

        return wandb.init(
            project=self._asked.project, entity=self._asked.entity, mode=self._asked.mode, dir=self._folder.name,
            name=self._tracker.job_id, group=self._tracker.name, job_type="train",
            config=self._config, reinit="create_new",
            settings=wandb.Settings(
                console="off", silent=True, init_timeout=INIT_TIMEOUT_S, disable_git=True, disable_code=True,
                x_disable_stats=True, x_save_requirements=False,
            ),
        )  # fmt: skip

    def _work(self) -> None:
        run: Any = None
        while (step := self._queue.get()) is not None:
            if self._problem is not None:
                continue
            try:
                run = step(run)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a mirror, the job goes on
                self._problem = _in_short(error)

    def _keep(self) -> None:
        """Puts an offline run among the artifacts of the job's MLflow run."""
        written = Path(self._folder.name) / FOLDER
        if not written.is_dir():
            return
        for link in [path for path in written.rglob("*") if path.is_symlink()]:
            link.unlink()
        try:
            self._tracker.upload(written, FOLDER)
        except TrainingError as error:
            logger.warning("the offline run of Weights & Biases was not kept: %s", error.message)


def _in_short(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
