from __future__ import annotations

from pathlib import Path

from ray_app.local.logs import bound, open_log, tail


def test_a_log_that_grew_too_large_is_emptied_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "ray.log"
    with open_log(path) as writer:
        writer.write(b"old line\n" * 100)
        assert not bound(path, limit=1000)
        assert bound(path, limit=500)
        writer.write(b"new line\n")
    assert path.read_bytes() == b"new line\n"
    assert (tmp_path / "logs" / "ray.log.1").read_bytes() == b"old line\n" * 100


def test_the_tail_leaves_out_empty_lines_and_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_text("first\n\nsecond\nthird\n")
    assert tail(path, 2) == ["second", "third"]
    assert tail(path, after=len("first\n\n")) == ["second", "third"]
    assert tail(tmp_path / "none.log") == []


def test_the_tail_survives_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(b"\xff\xfe broken\nfine\n")
    assert tail(path, 1) == ["fine"]
