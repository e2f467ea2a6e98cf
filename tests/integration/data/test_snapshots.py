"""Snapshots of what jobs were trained on, and jobs that are done again from them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from training.data import DataAccess, SnapshotStore, load
from training.data.snapshots import FOLDER, ROWS
from training.errors import DataError, NotFoundError
from training.events import SilentObserver
from training.pipeline import Workplace, reproduce, run
from training.registry import Registry
from training.result import TrainResult
from training.spec import ReproduceSpec, SnapshotSource, TrainSpec, parse_spec


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("workplace")
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.normal(size=400), "k": generator.choice(list("abc"), 400)})
    frame["unused"] = np.arange(400) * 1.5
    frame["y"] = np.where(frame["x"] + generator.normal(size=400) > 0, "yes", "no")
    frame.to_parquet(folder / "rows.parquet")
    return Workplace(
        DataAccess((str(folder),), folder), Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    )


def spec_of(name: str, **data: Any) -> TrainSpec:
    source = {"type": "file", "uri": "rows.parquet"}
    return parse_spec(TrainSpec, {"name": name, "data": {"source": source, "target": "y", **data}})


@pytest.fixture(scope="module")
def first(workplace: Workplace) -> TrainResult:
    return run(spec_of("kept"), workplace, SilentObserver(), job_id="job_first")


def files(workplace: Workplace) -> list[Path]:
    return sorted((Path(workplace.registry.artifact_uri) / FOLDER).rglob(ROWS))


def test_a_job_keeps_its_rows_under_their_hash(workplace: Workplace, first: TrainResult) -> None:
    kept = Path(workplace.registry.artifact_uri) / FOLDER / first.data.sha256 / ROWS
    assert pq.read_metadata(kept).num_rows == 400
    use = workplace.snapshots.uses(first.data.sha256)[0]
    assert (use.job_id, use.rows, use.columns) == ("job_first", 400, 4)
    assert use.source["uri"] == "rows.parquet"
    assert use.time.endswith("+00:00")


def test_the_same_rows_are_kept_once(workplace: Workplace, first: TrainResult) -> None:
    before = files(workplace)
    stamp = before[0].stat().st_mtime_ns
    run(spec_of("kept-too"), workplace, SilentObserver(), job_id="job_second")
    assert files(workplace) == before
    assert before[0].stat().st_mtime_ns == stamp
    assert {use.job_id for use in workplace.snapshots.uses(first.data.sha256)} == {"job_first", "job_second"}


def test_the_run_names_the_snapshot(workplace: Workplace, first: TrainResult) -> None:
    from training.registry.store import connect

    inputs = connect(workplace.registry.tracking_uri).get_run(first.run_id).inputs.dataset_inputs
    assert f"{FOLDER}/{first.data.sha256}/{ROWS}" in inputs[0].dataset.source


def again(first: TrainResult, name: str, **changes: Any) -> ReproduceSpec:
    train = spec_of(name, source={"type": "snapshot", "sha256": first.data.sha256})
    values = {metric: interval.value for metric, interval in first.metrics.items()}
    return ReproduceSpec(name=name, job_id="job_first", train=train.model_copy(update=changes), metrics=values)


def test_a_job_is_reproduced_to_the_last_digit_although_its_source_has_changed(
    workplace: Workplace, first: TrainResult
) -> None:
    source = workplace.access.base / "rows.parquet"
    shutil.copy(source, source.with_suffix(".old"))
    pd.read_parquet(source).sample(frac=0.5, random_state=1).to_parquet(source)
    try:
        found = reproduce(again(first, "kept"), workplace, SilentObserver(), job_id="job_again")
    finally:
        shutil.move(source.with_suffix(".old"), source)
    assert found.identical
    assert {one.difference for one in found.metrics.values()} == {0.0}
    assert len(workplace.registry.model("kept").versions) == 1


def test_a_difference_is_stated(workplace: Workplace, first: TrainResult) -> None:
    other = spec_of("kept").split.model_copy(update={"seed": 5})
    found = reproduce(again(first, "kept", split=other), workplace, SilentObserver(), job_id="job_other")
    assert not found.identical
    metric = found.metrics["roc_auc"]
    assert metric.difference == pytest.approx(metric.reproduced - metric.original)


def test_only_the_columns_that_are_asked_for_are_kept(workplace: Workplace) -> None:
    result = run(spec_of("narrow", include=["x"]), workplace, SilentObserver(), job_id="job_narrow")
    kept = Path(workplace.registry.artifact_uri) / FOLDER / result.data.sha256 / ROWS
    assert pq.read_schema(kept).names == ["x", "y"]


def test_a_snapshot_that_was_changed_is_refused(workplace: Workplace, tmp_path: Path) -> None:
    result = run(spec_of("changed", exclude=["k"]), workplace, SilentObserver(), job_id="job_changed")
    store = SnapshotStore(str(tmp_path))
    shutil.copytree(
        Path(workplace.registry.artifact_uri) / FOLDER / result.data.sha256, tmp_path / FOLDER / result.data.sha256
    )
    path = Path(store.file(result.data.sha256).path)
    pd.read_parquet(path).assign(x=0.0).to_parquet(path)
    access = DataAccess((), tmp_path, store=str(tmp_path))
    with pytest.raises(DataError, match="not what it was"):
        load(SnapshotSource(sha256=result.data.sha256), access)


def test_a_snapshot_that_is_gone_is_named(workplace: Workplace) -> None:
    with pytest.raises(NotFoundError, match="no snapshot 0000"):
        load(SnapshotSource(sha256="0" * 64), workplace.access)


def test_a_job_without_an_artifact_store_fails_before_it_fits(workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    broken = Workplace(workplace.access, Registry(workplace.registry.tracking_uri, str(tmp_path / "artifacts")))
    with pytest.raises(Exception, match="artifact store does not answer"):
        broken.snapshots.keep(None, "0" * 64, None)  # type: ignore[arg-type]
