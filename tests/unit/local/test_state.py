from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ray_app.local import processes
from ray_app.local.state import Part, RunFolder, RunState
from ray_app.settings import Settings


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(Settings(home=tmp_path / "home", _env_file=None))
    folder.path.mkdir(parents=True)
    return folder


def state(pid: int | None = None) -> RunState:
    supervisor = processes.identify(pid or os.getpid())
    return RunState(supervisor=supervisor, began=time.time(), parts={"ray": Part(log="ray.log")})


def test_the_state_is_read_as_it_was_written(run: RunFolder) -> None:
    assert run.read() is None
    written = state()
    run.write(written)
    assert run.read() == written
    assert run.live() == written


def test_a_state_whose_supervisor_is_gone_is_not_live(run: RunFolder) -> None:
    gone = state()
    gone.supervisor = gone.supervisor.model_copy(update={"started": gone.supervisor.started - 60})
    run.write(gone)
    assert run.read() is not None
    assert run.live() is None


def test_a_damaged_state_counts_as_none(run: RunFolder) -> None:
    run.state_path.write_text("{half of")
    assert run.read() is None


def test_the_lock_is_given_once_and_again_when_it_is_free(run: RunFolder) -> None:
    with run.lock() as first:
        assert first is not None
        with run.lock() as second:
            assert second is None
    with run.lock() as third:
        assert third is not None


def test_each_home_has_a_folder_of_its_own_for_ray_short_enough_for_sockets(tmp_path: Path, run: RunFolder) -> None:
    other = RunFolder(Settings(home=tmp_path / "other", _env_file=None))
    assert run.ray_folder != other.ray_folder
    session = run.ray_folder / "session_2026-11-23_13-06-29_864513_1234567" / "sockets" / "plasma_store"
    assert len(str(session)) < 107
