"""Temporary files of a job."""

from __future__ import annotations

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
        assert left.parent == root / f"mts-{JOB}"
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


def test_what_a_killed_attempt_left_goes_with_the_next_one_or_with_the_tidying(root: Path) -> None:
    (root / f"mts-{JOB}" / "mts-register-x").mkdir(parents=True)
    with scratch(JOB):
        assert list((root / f"mts-{JOB}").iterdir()) == []
    (root / f"mts-{JOB}" / "mts-register-x").mkdir(parents=True)
    clear_scratch(JOB)
    assert list(root.iterdir()) == []
