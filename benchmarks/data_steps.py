"""One measurement, in a process of its own: python -m benchmarks.data_steps STEP PATH_OR_URL."""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

Prepared = Callable[[], Any]


def pandas_parquet(path: str) -> Prepared:
    def work() -> None:
        frame = pd.read_parquet(path)
        for column in frame.select_dtypes("object"):
            frame[column] = frame[column].astype("category")

    return work


def load_rows(path: str) -> Prepared:
    from training.data import DataAccess, infer_schema, load
    from training.spec import DataSpec, FileSource, SplitSpec

    access = DataAccess((str(Path(path).parent),), Path(path).parent)
    data = DataSpec(source=FileSource(uri=path), target="y")
    return lambda: infer_schema(load(data.source, access).frame, data, SplitSpec())


def load_and_keep(path: str) -> Prepared:
    from training.data import DataAccess, SnapshotStore, infer_schema, load
    from training.data.snapshots import Use
    from training.spec import DataSpec, FileSource, SplitSpec

    folder = Path(path).parent
    store = SnapshotStore(tempfile.mkdtemp(dir=folder))
    data = DataSpec(source=FileSource(uri=path), target="y")

    def keep(table: Any, sha256: str, uri: str) -> str:
        return store.keep(table, sha256, Use("job", "model", {}, uri, table.num_rows, table.num_columns))

    return lambda: infer_schema(
        load(data.source, DataAccess((str(folder),), folder), keep=keep).frame, data, SplitSpec()
    )


def sql(url: str, *, frame: bool = False) -> Prepared:
    import yaml

    from training.data import DataAccess, SnapshotStore, load
    from training.data.snapshots import Use, shape_of
    from training.spec import SqlSource

    folder = Path(tempfile.mkdtemp(prefix="mts-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "connections.yaml").write_text(yaml.safe_dump({"connections": {"pg": {"url": url.replace(":@", "@")}}}))
    access = DataAccess((), folder, connections_file=folder / "connections.yaml")
    source = SqlSource(connection="pg", table="loans")

    def keep(rows: Any, sha256: str, uri: str) -> str:
        return SnapshotStore(str(folder)).keep(rows, sha256, Use("job", "model", {}, uri, *shape_of(rows)))

    def work() -> None:
        load(source, access, keep=keep, frame_bytes=None if frame else 0)

    return work


def pandas_sql(url: str) -> Prepared:
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    return lambda: pd.read_sql("SELECT * FROM loans", engine)


def checks(path: str) -> Prepared:
    from training.data import DataAccess, load
    from training.data.checks import run_checks
    from training.pipeline.prepare import context_of, inspect
    from training.spec import DataSpec, FileSource, TrainSpec

    folder = Path(path).parent
    spec = TrainSpec(name="bench", data=DataSpec(source=FileSource(uri=path), target="y"))
    found = inspect(load(spec.data.source, DataAccess((str(folder),), folder)), spec, look_closer=False)
    return lambda: run_checks(context_of(found, spec))


def xgboost_200(path: str) -> Prepared:
    import xgboost

    frame = pd.read_parquet(path)
    target = (frame.pop("y") == "bad").astype(int)
    frame["when"] = frame["when"].astype("int64")
    for column in frame.select_dtypes("object"):
        frame[column] = frame[column].astype("category")
    model = xgboost.XGBClassifier(n_estimators=200, tree_method="hist", enable_categorical=True, n_jobs=1)
    return lambda: model.fit(frame, target)


STEPS = {
    "pandas_parquet": pandas_parquet, "load": load_rows, "load_and_keep": load_and_keep, "sql": sql,
    "sql_to_frame": partial(sql, frame=True),
    "pandas_sql": pandas_sql, "checks": checks, "xgboost_200": xgboost_200,
}  # fmt: skip


def peak_mb() -> float:
    """Of this process alone: getrusage would count what its parent had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    work = STEPS[sys.argv[1]](sys.argv[2])
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, wall, cpu = peak_mb(), time.perf_counter(), time.process_time()
    answer = work()
    figures = {
        "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "peak_mb": peak_mb() - before,
        "frame_mb": answer.memory_usage(deep=True).sum() / 2**20 if isinstance(answer, pd.DataFrame) else 0.0,
    }  # fmt: skip
    print(json.dumps(figures))
