from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_app.local import control, processes
from ray_app.local.errors import LocalError
from ray_app.local.ports import next_free
from ray_app.local.state import Part, RunFolder, RunState
from ray_app.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", port=next_free(0), _env_file=None)


@pytest.fixture
def taken(settings: Settings) -> Iterator[socket.socket]:
    with socket.create_server((settings.host, settings.port)) as server:
        yield server


@pytest.mark.usefixtures("taken")
def test_a_port_that_is_taken_is_named_with_its_holder_and_its_setting(settings: Settings) -> None:
    with pytest.raises(LocalError) as caught:
        list(control.start(settings))
    assert f"port {settings.port} on 127.0.0.1 is taken by process {os.getpid()}" in caught.value.message
    assert "MTS_PORT" in caught.value.hint


def test_where_it_runs_already_the_start_joins(settings: Settings) -> None:
    run = RunFolder(settings)
    run.path.mkdir(parents=True)
    running = RunState(
        status="ready", supervisor=processes.identify(os.getpid()), began=time.time(), parts={"ray": Part(log="")}
    )
    run.write(running)
    assert list(control.start(settings)) == [running]


def test_a_supervisor_that_cannot_start_is_told_with_its_last_lines(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control.sys, "executable", "/bin/false")
    with pytest.raises(LocalError, match="the supervisor ended") as caught:
        list(control.start(settings))
    assert "mts doctor" in caught.value.hint


def test_to_stop_what_does_not_run_does_nothing(settings: Settings) -> None:
    assert control.stop(settings) == control.Stopped(was_running=False, ended=0)
    assert control.current(settings) is None
