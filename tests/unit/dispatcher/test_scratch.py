"""Temporary files of a job."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ray_app.dispatcher.scratch import clear_scratch, scratch

JOB = "job_00000000000000000000000001"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_job_leaves_goes_with_it(root: Path) -> None:
    with scratch(JOB):
        left = Path(tempfile.mkdtemp(prefix="mts-register-"))
        assert left.parent == root / f"mts-{JOB}-{os.getpid()}"
    assert list(root.iterdir()) == []
    assert tempfile.gettempdir() == str(root)


def test_it_goes_after_an_error_too(root: Path) -> None:
    def fail() -> None:
        with scratch(JOB):
            tempfile.mkdtemp()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert list(root.iterdir()) == []


def left_by(process: subprocess.Popen[bytes], root: Path) -> Path:
    """What an attempt in that process has in its folder."""
    folder = root / f"mts-{JOB}-{process.pid}" / "mts-register-x"
    folder.mkdir(parents=True)
    return folder


def test_what_a_killed_attempt_left_goes_with_the_next_one_or_with_the_tidying(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        pass
    left = left_by(killed, root)
    with scratch(JOB):
        assert not left.exists()
    left = left_by(killed, root)
    clear_scratch(JOB)
    assert not left.exists()


def test_an_attempt_that_still_runs_keeps_its_files(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        left = left_by(running, root)
        with scratch(JOB):
            clear_scratch(JOB)
        assert left.exists()
