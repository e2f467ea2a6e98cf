"""The mirror in Weights & Biases: a real run of the real library in offline mode, and a server that is away."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from training.data import DataAccess
from training.events import SilentObserver
from training.pipeline import Workplace, run
from training.registry import Registry, wandb_mirror
from training.result import TrainResult
from training.spec import TrainSpec, parse_spec

ROOT = Path(__file__).parents[2]
HEADER_BYTES, BLOCK_BYTES = 7, 32768
FULL, LAST = 1, 4


class Told(SilentObserver):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str) -> None:
        self.lines.append(message)


def trained(folder: Path, name: str, tracking: dict[str, object]) -> tuple[TrainResult, Told, Path]:
    registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    workplace = Workplace(DataAccess((str(ROOT / "examples" / "data"),), ROOT), registry)
    spec = {
        "name": name, "tracking": {"wandb": tracking}, "evaluation": {"bootstrap_samples": 0, "explain": False},
        "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
        "model": {"family": "xgboost", "params": {"n_estimators": 12, "max_depth": 3}},
    }  # fmt: skip
    told = Told()
    result = run(parse_spec(TrainSpec, spec), workplace, told, job_id="job_1")
    info = registry.version(name, result.model.version)
    return result, told, Path(info.source.removesuffix("/model").removeprefix("file://"))


def records(artifacts: Path) -> list[Record]:
    """The file of an offline run: seven bytes, then LevelDB's log format, a protobuf message a record."""
    (file,) = artifacts.rglob("run-*.wandb")
    content = file.read_bytes()
    assert content[:4] == b":W&B"
    place, message, found = HEADER_BYTES, b"", []
    while place + HEADER_BYTES <= len(content):
        if BLOCK_BYTES - place % BLOCK_BYTES < HEADER_BYTES:
            place += BLOCK_BYTES - place % BLOCK_BYTES
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + HEADER_BYTES])
        message += content[place + HEADER_BYTES : place + HEADER_BYTES + length]
        place += HEADER_BYTES + length
        if kind in {FULL, LAST}:
            record = Record()
            record.ParseFromString(message)
            found.append(record)
            message = b""
    return found


@pytest.mark.slow
def test_an_offline_run_holds_what_mlflow_holds(tmp_path: Path) -> None:
    result, _, artifacts = trained(tmp_path, "mirrored", {"project": "risk", "mode": "offline"})
    written = records(artifacts)
    run_record = next(record.run for record in written if record.HasField("run"))
    assert (run_record.project, run_record.display_name, run_record.run_group) == ("risk", "job_1", "mirrored")
    config = {item.key: json.loads(item.value_json) for item in run_record.config.update}
    assert config["model.params.n_estimators"] == "12"
    summary = {
        (item.key or item.nested_key[0]): json.loads(item.value_json)
        for record in written for item in record.summary.update
    }  # fmt: skip
    assert summary["roc_auc"] == result.metrics["roc_auc"].value
    assert (summary["model"], summary["mlflow_run_id"]) == (result.model.uri, result.run_id)
    steps = [
        {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in record.history.item}
        for record in written if record.HasField("history")
    ]  # fmt: skip
    losses = [step["validation/log_loss"] for step in steps if "validation/log_loss" in step]
    assert losses[-1] < losses[0]
    assert any(record.HasField("exit") and record.exit.exit_code == 0 for record in written)


@pytest.mark.slow
def test_a_server_that_is_away_does_not_fail_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setattr(wandb_mirror, "INIT_TIMEOUT_S", 2)
    result, told, _ = trained(tmp_path, "alone", {"project": "risk"})
    assert result.model.version == "1"
    assert any("not all of the job is in Weights & Biases" in line for line in told.lines)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_mirror, "find_spec", lambda name: None)
    result, told, _ = trained(tmp_path, "lacking", {"project": "risk", "mode": "offline"})
    assert result.model.version == "1"
    assert any("model-training-service[wandb]" in line for line in told.lines)
