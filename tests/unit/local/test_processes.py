from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ray_app.local import processes
from ray_app.settings import child_environment

GRACE_S = 1.0
Start = Callable[[str], "subprocess.Popen[bytes]"]

WAITS = "import signal; print('up', flush=True); signal.pause()"
IGNORES_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS
# a grandchild in a session of its own, whose parent dies: what becomes of the driver of a submitted job
LEAVES_AN_ORPHAN = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WAITS!r}], start_new_session=True)"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started = []

    def run(code: str) -> subprocess.Popen[bytes]:
        process = processes.spawn(
            [sys.executable, "-c", code],
            environment=child_environment({processes.RUN_FOLDER_MARK: str(tmp_path)}),
            log=tmp_path / "log",
            folder=tmp_path,
        )
        started.append(process)
        return process

    yield run
    processes.end_marked(tmp_path, grace_s=GRACE_S)
    for process in started:
        process.wait()


def wait_for_line(path: Path, count: int = 1) -> None:
    while path.read_text().count("up\n") < count:
        os.sched_yield()


def test_only_processes_of_the_folder_are_found_and_ended(tmp_path: Path, start: Start) -> None:
    ours = start(WAITS)
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.DEVNULL) as other:
        assert [process.pid for process in processes.marked(tmp_path)] == [ours.pid]
        assert processes.end_marked(tmp_path, grace_s=GRACE_S) == []
        assert processes.marked(tmp_path) == []
        assert other.poll() is None
        other.kill()


def test_an_orphan_in_another_session_is_found_too(tmp_path: Path, start: Start) -> None:
    parent = start(LEAVES_AN_ORPHAN)
    parent.wait()
    wait_for_line(tmp_path / "log")
    (orphan,) = processes.marked(tmp_path)
    assert os.getsid(orphan.pid) != os.getsid(0)
    processes.end_marked(tmp_path, grace_s=GRACE_S)
    assert not orphan.is_running()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path, start: Start) -> None:
    process = start(IGNORES_TERM)
    identity = processes.identify(process.pid)
    wait_for_line(tmp_path / "log")
    processes.end_marked(tmp_path, grace_s=GRACE_S)
    assert identity.find() is None


def test_what_is_to_be_kept_is_kept(tmp_path: Path, start: Start) -> None:
    kept, ended = start(WAITS), start(WAITS)
    identity = processes.identify(ended.pid)
    processes.end_marked(tmp_path, keep=[psutil.Process(kept.pid)], grace_s=GRACE_S)
    assert kept.poll() is None
    assert identity.find() is None


def test_a_number_that_went_to_another_process_is_not_the_same_process() -> None:
    own = processes.identify(os.getpid())
    assert own.find() is not None
    assert own.model_copy(update={"started": own.started - 60}).find() is None


def test_a_process_that_ended_is_not_found(start: Start) -> None:
    process = start(WAITS)
    identity = processes.identify(process.pid)
    process.kill()
    process.wait()
    assert identity.find() is None


def test_a_session_gives_way_where_the_system_has_groups_of_sessions(tmp_path: Path, start: Start) -> None:
    process = start(WAITS)
    wait_for_line(tmp_path / "log")
    processes.yield_to_other_sessions(process.pid)
    group = Path(f"/proc/{process.pid}/autogroup")
    assert not group.exists() or group.read_text().strip().endswith(f"nice {processes.SESSION_NICENESS}")
    assert process.poll() is None


def test_a_session_that_is_over_keeps_its_share(start: Start) -> None:
    process = start(WAITS)
    process.kill()
    process.wait()
    processes.yield_to_other_sessions(process.pid)
