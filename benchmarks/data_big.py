"""A folder of Parquet files that memory does not hold, in a process that may have little: python -m benchmarks.data_big
FOLDER LIMIT_MB. Reads it into a snapshot and checks it, and says what its own memory was at the peak."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

from benchmarks.data_steps import peak_mb
from benchmarks.data_tables import mixed, write_parquet


def write_folder(folder: Path, size_mb: int) -> int:
    """Copies of one file until there are so many MB; answers how many."""
    first = write_parquet(folder, mixed())
    number = 1
    while sum(file.stat().st_size for file in folder.glob("*.parquet")) < size_mb * 10**6:
        shutil.copyfile(first, folder / f"loans-{number:03d}.parquet")
        number += 1
    return number


def snapshot_and_check(folder: Path, limit_mb: int) -> dict[str, float]:
    """What the first two phases of a job do."""
    from training.data import DataAccess, SnapshotStore, load
    from training.data.snapshots import Use, shape_of
    from training.pipeline.prepare import inspect
    from training.pipeline.take import FRAME_SHARE
    from training.spec import DataSpec, FileSource, TrainSpec

    store = SnapshotStore(str(folder / "store"))

    def keep(rows: object, sha256: str, uri: str) -> str:
        return store.keep(rows, sha256, Use("job", "model", {}, uri, *shape_of(rows)))

    spec = TrainSpec(name="bench", data=DataSpec(source=FileSource(uri=str(folder)), target="y"))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    started = time.perf_counter()
    access = DataAccess((str(folder),), folder)
    dataset = load(spec.data.source, access, keep=keep, frame_bytes=int(FRAME_SHARE * limit_mb * 10**6))
    loaded_s = time.perf_counter() - started
    found = inspect(dataset, spec)
    return {
        "rows": dataset.sampled_from, "load_s": loaded_s, "check_s": time.perf_counter() - started - loaded_s,
        "peak_mb": peak_mb(), "findings": len(found.findings),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(snapshot_and_check(Path(sys.argv[1]), int(sys.argv[2]))))
