"""The stage that reads: from the source to rows in memory, with a snapshot of them kept."""

from __future__ import annotations

from typing import Any

from training.data import Dataset, load
from training.data.snapshots import Use
from training.pipeline.job import Job
from training.spec import TrainSpec


def take_rows(job: Job) -> Dataset:
    """Reads the rows that the job needs; what it is trained on is kept before anything is fitted.

    Raises:
        DataError: the rows cannot be read.
        UnavailableError: a database or the artifact store is away.
    """
    spec, snapshots = job.spec, job.workplace.snapshots

    def keep(table: Any, sha256: str, uri: str) -> str:
        source = spec.data.source.model_dump(mode="json", exclude={"rows", "labels"})
        return snapshots.keep(table, sha256, Use(job.id, spec.name, source, uri, table.num_rows, table.num_columns))

    return load(spec.data.source, job.workplace.access, columns=wanted_columns(spec), keep=keep)


def wanted_columns(spec: TrainSpec) -> list[str] | None:
    """The columns that the spec names, where it says which are features; None for all."""
    data = spec.data
    if data.include is None:
        return None
    roles = (data.target, data.id_column, data.weight_column, data.time_column, data.group_column, spec.split.column)
    named = [*data.include, *(name for name in roles if name is not None), *data.exclude, *spec.evaluation.slices]
    return list(dict.fromkeys(named))
