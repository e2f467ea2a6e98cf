from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.jobs.logs import JobLogs
from training.errors import NotFoundError, UnavailableError

JOB = "job_" + "0" * 26


def everything(logs: JobLogs, limit: int) -> str:
    text, offset = "", 0
    while True:
        piece, next_offset = logs.read(JOB, offset, limit)
        if next_offset == offset:
            return text
        text, offset = text + piece, next_offset


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8),
    limit=st.integers(1, 12),
)
def test_what_was_appended_is_read_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], limit: int
) -> None:
    logs = JobLogs(tmp_path_factory.mktemp("logs"))
    for text in texts:
        logs.append(JOB, text)
    assert everything(logs, limit) == "".join(texts)


def test_a_character_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path)
    logs.append(JOB, "a")
    path = tmp_path / f"{JOB}.log"
    for byte in "語".encode()[:2]:
        path.write_bytes(path.read_bytes() + bytes([byte]))
        assert logs.read(JOB) == ("a", 1)
    path.write_bytes("a語".encode())
    assert logs.read(JOB, 1) == ("語", 4)


def test_a_job_that_wrote_nothing_has_an_empty_log(tmp_path: Path) -> None:
    assert JobLogs(tmp_path / "none yet").read(JOB) == ("", 0)


def test_a_chatty_job_s_log_is_cut_with_a_note(tmp_path: Path) -> None:
    for size in range(90, 110):
        logs = JobLogs(tmp_path / str(size), max_bytes=size)
        for _ in range(20):
            logs.append(JOB, "züri 語\n")
        text = everything(logs, 1000)
        assert text.startswith("züri 語\n" * 7)
        assert text.count("[cut: ") == 1
        assert text.endswith(f"[cut: a log holds {size} bytes]\n")
        assert "\ufffd" not in text


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: logs.append(JOB, f"{number:04d} " + "x" * 500 + "\n"), range(400)))
    lines = everything(logs, 10_000).splitlines()
    assert sorted(lines) == [f"{number:04d} " + "x" * 500 for number in range(400)]


def test_text_without_utf_8_is_written_all_the_same(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path)
    logs.append(JOB, "file \udcff\n")
    assert logs.read(JOB)[0] == "file \\udcff\n"


@pytest.mark.parametrize("job_id", ["../../etc/passwd", "", ".", "job_../" + "0" * 20, "/etc/passwd", JOB + "\0"])
def test_no_id_leads_out_of_the_folder(tmp_path: Path, job_id: str) -> None:
    logs = JobLogs(tmp_path / "logs")
    with pytest.raises(NotFoundError):
        logs.append(job_id, "x")
    with pytest.raises(NotFoundError):
        logs.read(job_id)
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    JobLogs(tmp_path / "logs").append(JOB, "secret rows")
    path = tmp_path / "logs" / f"{JOB}.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file is in the way")
    logs = JobLogs(tmp_path / "logs")
    with pytest.raises(UnavailableError) as caught:
        logs.append(JOB, "x")
    assert str(tmp_path) not in caught.value.message
