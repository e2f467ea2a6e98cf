"""The stage that reads: from the source to rows in memory, with a snapshot of them kept."""

from __future__ import annotations

import time
from typing import Any

from training.data import Dataset, load
from training.data.memory import free_bytes
from training.data.snapshots import Use, shape_of
from training.errors import DataError
from training.pipeline.job import Job
from training.spec import TrainSpec

FRAME_SHARE = 0.6
"""Of the memory that is free, for the rows; a fit needs some of its own."""
TELL_S = 0.5


def take_rows(job: Job) -> Dataset:
    """Reads the rows that the job needs; what it is trained on is kept before anything is fitted.

    Raises:
        DataError: the rows cannot be read.
        JobCancelledError: somebody asked the job to stop.
        UnavailableError: a database or the artifact store is away.
    """
    spec, snapshots = job.spec, job.workplace.snapshots

    def keep(rows: Any, sha256: str, uri: str) -> str:
        source = spec.data.source.model_dump(mode="json", exclude={"rows": True, "labels": True, "entities": {"rows"}})
        count, width = shape_of(rows)
        return snapshots.keep(rows, sha256, Use(job.id, spec.name, source, uri, count, width))

    return load(
        spec.data.source, job.workplace.access, columns=wanted_columns(spec), keep=keep, frame_bytes=room_for(spec),
        told=_Telling(job),
    )  # fmt: skip


def room_for(spec: TrainSpec) -> int:
    """Bytes that a frame may have, so that the checks and a fit have room beside it."""
    return int(FRAME_SHARE * free_bytes(spec.resources.memory_mb))


def refuse_sample(dataset: Dataset) -> None:
    """Stops a job whose rows are in its snapshot but do not fit into its memory.

    Raises:
        DataError: says how much memory there would have to be.
    """
    if not dataset.sampled_from:
        return
    needed_mb = dataset.whole_bytes / FRAME_SHARE / 1e6
    reason = (
        f"{dataset.sampled_from:,} rows need about {needed_mb:,.0f} MB of memory, more than the job has; they were "
        "kept and checked, and cannot be fitted here"
    )
    hint = "Give resources.memory_mb on a larger node, name fewer columns in data.include, or read fewer rows."
    raise DataError.at("data.source", dataset.uri, reason, hint=hint)


class _Telling:
    """Tells of progress now and then, and lets a job be cancelled while it reads."""

    def __init__(self, job: Job) -> None:
        self._observer = job.watch.observer
        self._told_at = 0.0

    def __call__(self, rows: int, share: float | None) -> None:
        now = time.monotonic()
        if now - self._told_at < TELL_S:
            return
        self._told_at = now
        self._observer.metrics({"load/rows": float(rows)})
        self._observer.progress(share or 0.0)


def wanted_columns(spec: TrainSpec) -> list[str] | None:
    """The columns that the spec names, where it says which are features; None for all."""
    data = spec.data
    if data.include is None:
        return None
    roles = (data.target, data.id_column, data.weight_column, data.time_column, data.group_column, spec.split.column)
    named = [*data.include, *(name for name in roles if name is not None), *data.exclude, *spec.evaluation.slices]
    return list(dict.fromkeys(named))
