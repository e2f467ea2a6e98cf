"""Whatever a file holds, it is read or refused with a reason; nothing that a caller writes ends the process.

A hundred files of each kind here; `pytest tests/unit/data/test_any_file.py --hypothesis-profile long` for thousands.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
FRAME = pd.DataFrame(
    {
        "number": [1.5, None, -3e300, 0.0] * 5,
        "whole": range(20),
        "text": ["a", "b,c", 'd"e', None] * 5,
        "when": ["2026-01-02T03:04:05Z", None, "2026-12-31", "x"] * 5,
        "yes": [True, False, True, False] * 5,
    }
)
Read = Callable[[str, bytes], str]


def parquet() -> bytes:
    content = io.BytesIO()
    FRAME.to_parquet(content)
    return content.getvalue()


SEEDS = {
    "a.csv": FRAME.to_csv(index=False).encode(),
    "a.jsonl": FRAME.to_json(orient="records", lines=True).encode(),
    "a.parquet": parquet(),
    "a.csv.gz": gzip.compress(FRAME.to_csv(index=False).encode()),
}
PIECES = st.sampled_from([b"", b"\0", b"\xff", b"\n", b'"', b",", b"{", b"[" * 40, b"9" * 400, b"NaN", b"\xef\xbb\xbf",
                          b"\r", b"PAR1", b"\x1f\x8b", "\U0001f600".encode(), b"1e999", b"-0", b"null"])  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, seed: bytes) -> bytes:
    """A sound file with some places cut, repeated or written over."""
    content = seed
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 200)))
        new = draw(PIECES | st.binary(max_size=20) | st.just(content[start:end] * 2))
        content = content[:start] + new + content[end:]
    return content


class Child:
    """Reads in another process, which is looked after."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reading_child", str(folder)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def read(self, name: str, content: bytes) -> str:
        (self._folder / name).write_bytes(content)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the process ended with {self._process.wait()}"
        return answer

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    child = Child(tmp_path_factory.mktemp("any"))
    yield child.read
    child.close()


@pytest.mark.parametrize("name", list(SEEDS))
def test_a_sound_file_is_read(read: Read, name: str) -> None:
    assert read(name, SEEDS[name]) == "rows 20\n"


@pytest.mark.parametrize("name", list(SEEDS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_file_with_changes_is_read_or_refused(read: Read, name: str, data: st.DataObject) -> None:
    assert read(name, data.draw(changed(SEEDS[name]))).startswith(("rows ", "refused "))


@pytest.mark.parametrize("name", [*SEEDS, "a.txt", "a"])
@given(content=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(read: Read, name: str, content: bytes) -> None:
    assert read(name, content).startswith(("rows ", "refused "))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(rows=st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=6))
def test_any_objects_are_read_or_refused(read: Read, rows: list[dict[str, object]]) -> None:
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    assert read("any.jsonl", content).startswith(("rows ", "refused "))


@pytest.mark.parametrize(
    "content", ["null", 'null\n{"y": 1}', '{"y": 1}\n null', '{"y": 1} null', "\ufeffnull", "nullnull"]
)
def test_no_null_ends_the_process(read: Read, content: str) -> None:
    for _ in range(100):  # it follows an address that is only sometimes none
        assert read("null.jsonl", content.encode()).startswith("refused ")


@pytest.mark.parametrize("inside", [("[", "]"), ('{"a":', "}")])
@given(depth=st.integers(1, 100_000))
@example(depth=100_000)
def test_no_depth_ends_the_process(read: Read, inside: tuple[str, str], depth: int) -> None:
    deep = '{"y": 1, "x": ' + inside[0] * depth + "1" + inside[1] * depth + "}\n"
    assert read("deep.jsonl", deep.encode()).startswith("refused ")
