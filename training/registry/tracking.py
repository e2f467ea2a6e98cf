"""One MLflow run for each attempt of a job."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from training.data.table import Dataset, Split, TableSchema
from training.errors import JobCancelledError
from training.events import Phase
from training.registry.environment import environment
from training.registry.errors import translated
from training.registry.outbox import MetricBuffer, Outbox
from training.registry.params import flat_params
from training.result import CrossValidation, Interval, SliceRow
from training.spec import TrainSpec

logger = logging.getLogger("training")

BATCH_INTERVAL_S = 2.0
"""Seconds between two batches of the metrics of a running fit."""
CLOSE_TIMEOUT_S = 60.0
"""How long a finished job waits for a slow tracking server to take the rest."""
MAX_LOG_CHARS = 2_000_000
"""More of a job's log is not kept with its run."""
METRICS_PER_BATCH, PARAMS_PER_BATCH, DIGEST_CHARS = 1000, 100, 36
"""MLflow's limits."""


class RunTracker:
    """Records one attempt of a job as an MLflow run; an Observer.

    As a context it ends the run: FINISHED, KILLED when the job was cancelled, FAILED on any other error. What it
    records goes out from a thread of its own; while the server `is_away` it is kept, and a figure that could not be
    recorded is a warning and never ends a job.
    Not safe to use from several threads at once.
    """

    def __init__(self, client: MlflowClient, run: Any, spec: TrainSpec, is_away: Callable[[], bool]) -> None:
        self.client = client
        self.is_away = is_away
        self.run_id: str = run.info.run_id
        self.experiment_id = str(run.info.experiment_id)
        self.name = spec.name
        self.job_id: str = run.data.tags["job_id"]
        self.attempt = int(run.data.tags["attempt"])
        self.artifact_uri: str = run.info.artifact_uri
        self.data_sha256 = ""
        self.data_uri = ""
        self._lines: list[str] = []
        self._kept_chars = 0
        self._texts: dict[str, str] = {
            "spec.json": json.dumps(spec.model_dump(mode="json"), indent=2, ensure_ascii=False),
            "environment.json": json.dumps(environment(), indent=2),
        }
        self._outbox = Outbox(f"tracking-{self.job_id}", is_away)
        self._metrics = MetricBuffer(self._send_metrics, BATCH_INTERVAL_S)
        self.log_params(flat_params(spec.model_dump(mode="json")))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.log(f"{type(error).__name__}: {error}")
        self.log_text("log.txt", "\n".join(self._lines))
        self._metrics.flush()
        self._put_texts()
        status = "FINISHED" if kind is None else "KILLED" if issubclass(kind, JobCancelledError) else "FAILED"
        self._outbox.put(partial(self.client.set_terminated, self.run_id, status))
        if not self._outbox.close(CLOSE_TIMEOUT_S):
            logger.warning("the tracking server is too slow: part of run %s is not recorded", self.run_id)
        for problem in dict.fromkeys(self._outbox.problems):
            logger.warning("%s", problem)

    def phase(self, phase: Phase) -> None:
        """Hands over the metrics of the phase before."""
        self._metrics.flush()
        self.log(f"phase {phase}")

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Does nothing: a run has no progress."""

    def waiting(self, message: str) -> None:
        """Does nothing, as above."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Figures of the running fit."""
        self._metrics.add({name: float(value) for name, value in values.items()}, 0 if step is None else step)

    def log(self, message: str) -> None:
        """A line of log.txt."""
        if self._kept_chars <= MAX_LOG_CHARS:
            self._kept_chars += len(message) + 1
            self._lines.append(message if self._kept_chars <= MAX_LOG_CHARS else "… the rest was not kept")

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters by name; a value is kept as text. A name is recorded once: MLflow refuses a second value."""
        held = [Param(key, value) for key, value in flat_params(params).items()]
        for start in range(0, len(held), PARAMS_PER_BATCH):
            batch = held[start : start + PARAMS_PER_BATCH]
            self._outbox.put(partial(self.client.log_batch, self.run_id, params=batch))

    def log_fit(self, params: Mapping[str, Any], facts: Mapping[str, float]) -> None:
        """What the estimator made of its parameters (as resolved.*), and facts such as the best iteration."""
        self.log_params({f"resolved.{name}": value for name, value in params.items()})
        self.metrics(facts)

    def log_data(self, dataset: Dataset, schema: TableSchema, split: Split) -> None:
        """The data set as the run's input, with its hash."""
        self.data_sha256, self.data_uri = dataset.sha256, dataset.uri
        columns = [{"name": column.name, "type": column.kind, "role": column.role} for column in schema.columns]
        profile = {
            "num_rows": len(dataset.frame), "train_rows": len(split.train), "validation_rows": len(split.validation),
            "test_rows": len(split.test), "split": split.strategy, "sha256": dataset.sha256,
        }  # fmt: skip
        found = MlflowDataset(
            name=self.name, digest=dataset.sha256[:DIGEST_CHARS], source_type="mts",
            source=json.dumps({"uri": dataset.uri, "snapshot": dataset.snapshot}),
            schema=json.dumps({"columns": columns})[:1_000_000],
            profile=json.dumps(profile),
        )  # fmt: skip
        used = DatasetInput(found, tags=[InputTag("mlflow.data.context", "training")])
        tags = [RunTag("data_sha256", dataset.sha256), RunTag("task", schema.task)]
        self._outbox.put(partial(self.client.log_inputs, self.run_id, [used]))
        self._outbox.put(partial(self.client.log_batch, self.run_id, tags=tags))

    def log_result(self, metrics: Mapping[str, Interval], slices: Sequence[SliceRow] = ()) -> None:
        """The hold-out metrics, with the bounds of their intervals as <metric>_low and <metric>_high."""
        self.metrics(flat_metrics(metrics))
        if slices:
            self.log_text("slices.json", json.dumps([row.model_dump(mode="json") for row in slices], indent=2))

    def log_cross_validation(self, found: CrossValidation) -> None:
        """The means over the folds as cv/<metric>, and all of it as a file."""
        self.metrics(flat_metrics({f"cv/{name}": interval for name, interval in found.metrics.items()}))
        self.log_text("cross_validation.json", found.model_dump_json(indent=2))

    def log_text(self, file_name: str, text: str) -> None:
        """A text file among the run's artifacts; written when the run ends."""
        self._texts[file_name] = text

    def upload(self, folder: Path, artifact_path: str | None = None) -> None:
        """Copies a folder to the run's artifacts, before this returns.

        Raises:
            UnavailableError: the artifact store is away.
        """
        with translated("storing the artifacts of the run"):
            get_artifact_repository(self.artifact_uri).log_artifacts(str(folder), artifact_path)

    def _put_texts(self) -> None:
        texts = dict(self._texts)

        def send() -> None:
            with tempfile.TemporaryDirectory() as folder:
                for name, text in texts.items():
                    (Path(folder) / name).write_text(text, encoding="utf-8")
                self.upload(Path(folder))

        self._outbox.put(send)

    def _send_metrics(self, values: list[tuple[str, float, int, int]]) -> None:
        entries = [Metric(name, value, time_ms, step) for name, value, time_ms, step in values]
        for start in range(0, len(entries), METRICS_PER_BATCH):
            batch = entries[start : start + METRICS_PER_BATCH]
            self._outbox.put(partial(self.client.log_batch, self.run_id, metrics=batch))


def flat_metrics(metrics: Mapping[str, Interval]) -> dict[str, float]:
    """{"roc_auc": …, "roc_auc_low": …, "roc_auc_high": …}; what is undefined is left out."""
    values = {
        f"{metric}{suffix}": value
        for metric, interval in metrics.items()
        for suffix, value in (("", interval.value), ("_low", interval.low), ("_high", interval.high))
    }
    return {name: value for name, value in values.items() if value is not None and np.isfinite(value)}
