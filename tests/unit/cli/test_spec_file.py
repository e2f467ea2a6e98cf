from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ray_app.cli.spec_file import read_spec
from tests.unit.cli.conftest import Mts
from training.errors import SpecError
from training.spec import TrainSpec, parse_spec

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_specs_of_data_that_ship_with_the_project(path: Path) -> None:
    spec = parse_spec(TrainSpec, read_spec(path))
    assert spec.data.source.type == "file"
    assert (path.parents[1] / spec.data.source.uri).is_file()


def test_dates_become_text_as_json_needs_it(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("data: {source: {type: inline, rows: [{day: 2026-11-23, at: 2026-11-23T12:00:00Z}]}}")
    (row,) = read_spec(path)["data"]["source"]["rows"]
    assert row == {"day": "2026-11-23", "at": "2026-11-23T12:00:00+00:00"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1, 2", "neither YAML nor JSON"),
        (b"- a\n- b\n", "not list"),
        (b"", "not NoneType"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"a: .nan", "JSON cannot carry"),
        (b"a: !!python/object/apply:os.system ['true']", "neither YAML nor JSON"),
        (b"a: !!binary aGVsbG8=", "JSON cannot carry"),
    ],
)
def test_a_file_that_is_no_spec_is_told(tmp_path: Path, mts: Mts, content: bytes, message: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    result = mts("train", str(path))
    assert result.exit_code == 1
    assert message in result.stderr
    assert str(path) in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        read_spec(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        read_spec(tmp_path)


def test_a_spec_may_come_from_a_pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "piped").open("w+") as pipe:
        yaml.safe_dump({"name": "a"}, pipe)
        pipe.seek(0)
        monkeypatch.setattr("sys.stdin", pipe)
        assert read_spec(Path("-")) == {"name": "a"}
