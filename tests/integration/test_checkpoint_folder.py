"""A folder for checkpoints that cannot be written: the job says so before it reads anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.data import DataAccess
from training.errors import UnavailableError
from training.events import SilentObserver
from training.pipeline import Workplace, reproduce, run
from training.registry import Registry
from training.spec import ReproduceSpec, TrainSpec, parse_spec

ROOT = Path(__file__).parents[2]
SPEC = {"name": "nowhere", "data": {"source": {"type": "file", "uri": "is/not/there.csv"}, "target": "y"}}


def unwritable(tmp_path: Path) -> dict[str, Path]:
    """Folders that not even root can write to."""
    (tmp_path / "file").touch()
    return {"Not a directory": tmp_path / "file" / "checkpoints", "No such file": Path("/proc/checkpoints"),
            "File exists": tmp_path / "file"}  # fmt: skip


@pytest.mark.parametrize("reason", ["Not a directory", "No such file", "File exists"])
def test_it_is_named_with_a_remedy_before_anything_is_read(reason: str, tmp_path: Path) -> None:
    folder = unwritable(tmp_path)[reason]
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts"))
    workplace = Workplace(DataAccess((str(ROOT),), ROOT), registry, checkpoints=folder)
    train = parse_spec(TrainSpec, SPEC)
    again = parse_spec(ReproduceSpec, {"name": "nowhere", "job_id": "job_1", "train": SPEC, "metrics": {}})
    for attempt in (
        lambda: run(train, workplace, SilentObserver(), job_id="job_1"),
        lambda: reproduce(again, workplace, SilentObserver(), job_id="job_2"),
    ):
        with pytest.raises(UnavailableError, match=f"no checkpoints can be written to {folder}: {reason}") as refused:
            attempt()
        [problem] = refused.value.problems
        assert (problem.field, problem.value) == ("MTS_HOME", str(folder))
        assert "set MTS_HOME to another folder" in refused.value.hint
    assert not (tmp_path / "mlflow.db").exists(), "not even a run was begun"


def test_a_folder_that_can_be_made_is_made_and_left_empty(tmp_path: Path) -> None:
    workplace = Workplace(DataAccess((), tmp_path), Registry("sqlite:///unused.db", "unused"), tmp_path / "a" / "b")
    workplace.check_checkpoints()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_the_batch_command_says_so_without_a_traceback(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(SPEC))
    answer = subprocess.run(
        [sys.executable, "-m", "training", "run", str(spec), "--home", "/proc/home"],
        cwd=ROOT, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 1
    assert "no checkpoints can be written to /proc/home/checkpoints" in answer.stderr
    assert "MTS_HOME" in answer.stderr
    assert "Traceback" not in answer.stderr
