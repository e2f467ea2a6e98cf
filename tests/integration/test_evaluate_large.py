"""Data that are evaluated piece by piece on a real cluster give the report that they give as a whole."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import ray
from dispatcher_cluster import cluster_environment

from training.data import DataAccess, loading
from training.data.formats import csv_streaming, parquet_format
from training.data.sources import file_source
from training.data.streaming import spool
from training.distributed.in_parallel import in_parallel
from training.errors import DataError, SpecError
from training.events import SilentObserver
from training.pipeline import Workplace, evaluate, evaluate_model, run
from training.registry import Registry
from training.result import EvaluationResult
from training.spec import EvaluateSpec, TrainSpec, parse_spec

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SOURCES = {"german": "german_credit.csv", "diabetes": "diabetes.csv"}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("large")
    examples = ROOT / "examples" / "data"
    workplace = Workplace(
        DataAccess((str(examples), str(folder)), folder), Registry(f"sqlite:///{folder}/mlflow.db", f"{folder}/art")
    )
    for name, target in (("german", "creditability"), ("diabetes", "progression")):
        frame = pd.read_csv(examples / SOURCES[name])
        frame = frame.assign(amount=range(1, len(frame) + 1))
        frame.loc[5, target] = None
        frame.to_csv(folder / f"{name}.csv", index=False)
        frame.to_parquet(folder / f"{name}.parquet")
        raw = {
            "name": name, "model": {"family": "xgboost", "params": {"n_estimators": 20}},
            "data": {"source": {"type": "file", "uri": f"{name}.parquet"}, "target": target, "weight_column": "amount"},
            "evaluation": {"bootstrap_samples": 0, "explain": False},
        }  # fmt: skip
        run(parse_spec(TrainSpec, raw), workplace, SilentObserver(), job_id=name)
    return workplace


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with cluster_environment() as folder:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, namespace="tests", _temp_dir=folder)
        try:
            yield
        finally:
            ray.shutdown()


@pytest.fixture
def in_pieces(cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All data are large, and a piece of them is small."""
    monkeypatch.setattr(evaluate, "STREAMED_BYTES", 0)
    monkeypatch.setattr(csv_streaming, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(parquet_format, "ROWS_PER_PIECE", 100)
    monkeypatch.setattr(loading, "BATCH_ROWS", 100)
    monkeypatch.setattr(file_source, "STREAMED_BYTES", 0)
    monkeypatch.setattr(spool, "SPILL_BYTES", 20_000)


def report(workplace: Workplace, name: str, uri: str, **asked: object) -> EvaluationResult:
    raw = {"model": {"name": name}, "data": {"source": {"type": "file", "uri": uri}}, "bootstrap_samples": 50} | asked
    return evaluate_model(parse_spec(EvaluateSpec, raw), workplace, SilentObserver())


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("name", "slices"), [("german", ["housing", "duration_in_month"]), ("diabetes", ["sex"])])
def test_the_report_is_that_of_the_whole(
    name: str, slices: list[str], suffix: str, workplace: Workplace, request: pytest.FixtureRequest
) -> None:
    whole = report(workplace, name, f"{name}.{suffix}", slices=slices)
    request.getfixturevalue("in_pieces")
    pieces = report(workplace, name, f"{name}.{suffix}", slices=slices)
    assert pieces.model_dump(exclude={"timings"}) == whole.model_dump(exclude={"timings"})
    assert pieces.warnings[0].startswith("1 rows without a value")


def test_one_class_only_leaves_undefined_what_needs_two(workplace: Workplace, request: pytest.FixtureRequest) -> None:
    frame = pd.read_parquet(Path(workplace.access.base) / "german.parquet").query("creditability == 'good'")
    frame.to_parquet(Path(workplace.access.base) / "good.parquet")
    whole = report(workplace, "german", "good.parquet", slices=["housing"])
    request.getfixturevalue("in_pieces")
    pieces = report(workplace, "german", "good.parquet", slices=["housing"])
    assert pieces.model_dump(exclude={"timings"}) == whole.model_dump(exclude={"timings"})
    assert pieces.metrics["roc_auc"].value is None
    assert pieces.metrics["log_loss"].value is not None
    assert pieces.warnings[0].startswith("no row of class bad")


def test_a_label_far_down_that_was_never_seen_is_named(workplace: Workplace, in_pieces: None) -> None:
    frame = pd.read_parquet(Path(workplace.access.base) / "german.parquet")
    frame.loc[900, "creditability"] = "baad"
    frame.to_parquet(Path(workplace.access.base) / "odd.parquet")
    with pytest.raises(DataError, match="baad; nearest: bad"):
        report(workplace, "german", "odd.parquet")


def test_columns_that_are_not_there_are_named(workplace: Workplace, in_pieces: None) -> None:
    with pytest.raises(SpecError, match="nearest: housing"):
        report(workplace, "german", "german.parquet", slices=["housin"])
    frame = pd.read_parquet(Path(workplace.access.base) / "german.parquet").drop(columns="housing")
    frame.to_parquet(Path(workplace.access.base) / "narrow.parquet")
    with pytest.raises(DataError, match="lack: 'housing'"):
        report(workplace, "german", "narrow.parquet")


def tripled_once_killed(folder: str, part: int) -> int:
    mark = Path(folder) / f"{part}.json"
    if part == 3 and not mark.exists():
        mark.write_text(json.dumps(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return 3 * part


def test_a_part_whose_process_dies_is_done_again(cluster: None, tmp_path: Path) -> None:
    found = list(in_parallel(tripled_once_killed, str(tmp_path), range(8), name="parts"))
    assert found == [3 * part for part in range(8)]
    assert (tmp_path / "3.json").exists()


def test_parts_are_read_only_as_the_work_gets_on(cluster: None, tmp_path: Path) -> None:
    taken = 0

    def parts() -> Iterator[int]:
        nonlocal taken
        for part in range(100):
            taken += 1
            yield part

    results = in_parallel(tripled_once_killed, str(tmp_path), parts(), name="parts")
    assert next(results) == 0
    assert taken <= 4
    results.close()
