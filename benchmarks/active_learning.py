"""A batch of 100 from a pool of 1,000,000 rows, and 1,000 labels in one request: to the store, and over HTTP."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import Row, timed_s
from benchmarks.service import running_service
from ray_app.jobs.pools.model import NewPool, PoolAnswer, PoolState
from ray_app.jobs.store import JobStore
from training.active_learning.query import run_query
from training.active_learning.spec import Counts, KnownLabel, PoolSpec, QuerySpec
from training.data import DataAccess, infer_schema, make_rows
from training.events import SilentObserver
from training.models import FitContext, FitData
from training.models.families import family_of
from training.mts_scoring.model import Feature, ScoringModel
from training.spec import DataSpec, SplitSpec

POOL_ROWS = 1_000_000
COLUMNS = 20
LABELLED = 500
POOLS = "/api/v1/active-learning/pools"


def table(rows: int) -> pd.DataFrame:
    """Numbers and two categorical columns."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{number}": rng.normal(size=rows).astype(np.float32) for number in range(COLUMNS - 2)})
    frame["city"] = rng.choice(np.array([f"city {number}" for number in range(50)]), rows)
    frame["kind"] = rng.choice(np.array(["a", "b", "c"]), rows)
    return frame


def plan_of(path: Path) -> PoolSpec:
    data = {"source": {"type": "file", "uri": str(path)}, "target": "y", "classes": ["no", "yes"]}
    return PoolSpec.model_validate({"name": "bench", "data": data, "batch_size": 100})


def trained(frame: pd.DataFrame, target: Any, plan: PoolSpec) -> ScoringModel:
    labelled = frame.assign(y=target)
    data = DataSpec.model_validate({"source": {"type": "inline", "rows": [{}]}, "target": "y"})
    schema = infer_schema(labelled, data, SplitSpec())
    rows = make_rows(labelled, schema, data, None)
    fitted = family_of(plan.model).fit(plan.model, FitData(schema, rows, rows), FitContext(cpus=2))
    features = tuple(Feature(column.name, column.kind) for column in schema.features)
    return ScoringModel(fitted.predictor, schema.task, schema.classes, features, "y", None)


class Peak:
    """The greatest resident memory of this process while the context lasts, in MB."""

    def __enter__(self) -> Self:
        self.mb = self.start_mb = psutil.Process().memory_info().rss / 1e6
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.mb = max(self.mb, psutil.Process().memory_info().rss / 1e6)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def query_row(folder: Path) -> Row:
    path = folder / "pool.parquet"
    frame = table(POOL_ROWS)
    size_mb = frame.memory_usage(deep=False).sum() / 1e6
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    plan = plan_of(path)
    target = np.where(frame["x0"].head(LABELLED) + frame["x1"].head(LABELLED) > 0, "yes", "no")
    model = trained(frame.head(LABELLED).copy(), target, plan)
    del frame
    labels = [KnownLabel(id=str(row), label=str(target[row])) for row in range(LABELLED)]
    spec = QuerySpec(
        name="bench", pool="p", round=1, plan=plan, take=Counts(active=80, random=20), version="1", labels=labels
    )
    access = DataAccess((str(folder),), folder)
    processor = psutil.Process()
    before = sum(processor.cpu_times()[:2])
    with Peak() as peak:
        spent_s = timed_s(lambda: run_query(spec, access, lambda _version: model, SilentObserver()))
    used_s = sum(processor.cpu_times()[:2]) - before
    note = (
        f"rows of {size_mb:.0f} MB; peak {peak.mb - peak.start_mb:.0f} MB above the start; "
        f"{used_s:.1f} s of processor time, load {psutil.getloadavg()[0]:.0f}"
    )
    return Row(f"100 rows from a pool of {POOL_ROWS:,}, read included", spent_s, None, "s", 20.0, note)


def labels_row(folder: Path) -> Row:
    with JobStore(f"sqlite:///{folder / 'jobs.db'}") as jobs:
        plan = plan_of(folder / "pool.parquet").model_dump(mode="json")
        pool_id = jobs.pools.create(NewPool(id="pool_bench", name="bench", spec=plan)).id
        items = [
            {"id": str(row), "part": "active", "score": 0.5, "why": {"strategy": "margin"}, "cells": {"x": row},
             "row_hash": "0" * 16, "cost": 1.0}
            for row in range(1_000)
        ]  # fmt: skip
        result = {"rows": 1_000, "left": 0, "sha256": "", "items": items, "changed": [], "evidence": None}
        jobs.pools.query_came_back(pool_id, "job", result, PoolState(round=1))
        held = jobs.pools.lease(pool_id, "ann", 1_000)
        answers = [PoolAnswer(id=item.id, label="yes") for item in held]
        spent_s = timed_s(lambda: jobs.pools.answer(pool_id, "ann", answers))
    return Row("1,000 labels into the store, one transaction", spent_s, None, "s", 1.0)


def http_row() -> Row:
    """As a labeller would, through the whole running service."""
    rows = [{"x": number % 97, "z": number % 31} for number in range(1_100)]
    data = {"source": {"type": "inline", "rows": rows}, "target": "y", "classes": ["no", "yes"]}
    spec = {"name": "bench", "data": data, "strategy": "random", "test_size": 20, "initial_size": 1_000}
    with running_service() as service:
        made = service.http.post(POOLS, json=spec).raise_for_status().json()
        path = f"{POOLS}/{made['id']}"
        asked = service.http.post(f"{path}/query", params={"wait_s": 60}, json={"size": 1_000}).raise_for_status()
        labels = [{"id": item["id"], "label": "no"} for item in asked.json()["items"]]
        if len(labels) != 1_000:
            raise RuntimeError(f"the pool gave {len(labels)} rows of 1,000")
        spent_s = timed_s(lambda: service.http.post(f"{path}/labels", json={"labels": labels}).raise_for_status())
    return Row("1,000 labels over HTTP, one request", spent_s, None, "s", 1.0)


def rows() -> list[Row]:
    """Measures."""
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as name:
        return [query_row(Path(name)), labels_row(Path(name)), http_row()]
