"""A CSV file in pieces has the types and the values that it has when it is read whole."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs

from training.data.files import DataFile
from training.data.formats import FORMATS, csv_streaming
from training.data.formats.base import Wanted
from training.errors import DataError

ROWS = 400
COLUMNS = {
    "whole": lambda row: row,
    "code": lambda row: "0123" if row < 300 else "x1",
    "fraction_later": lambda row: row if row < 150 else row + 0.5,
    "too_long": lambda row: 1 if row < 200 else 2**70 + row,
    "long_and_fraction": lambda row: 2**70 if row == 3 else 0.5,
    "date_or_word": lambda row: "2024-01-01" if row < 200 else "foo",
    "empty_first": lambda row: "" if row < 300 else 5,
    "when": lambda row: "2024-01-01T00:00:00",
    "zoned": lambda row: "2024-01-01T00:00:00Z",
    "truth": lambda row: "1" if row < 200 else "true",
    "clock": lambda row: "10:00:01",
    "quoted": lambda row: f'"{row}\n,"',
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFile:
    monkeypatch.setattr(csv_streaming, "BLOCK_BYTES", 2000)
    lines = [",".join(COLUMNS), *(",".join(str(of(row)) for of in COLUMNS.values()) for row in range(ROWS))]
    return written(tmp_path, "\n".join(lines))


def written(folder: Path, text: str) -> DataFile:
    path = folder / "rows.csv"
    path.write_text(text)
    return DataFile(fs.LocalFileSystem(), str(path), "rows.csv", path.stat().st_size)


@pytest.mark.parametrize("name", COLUMNS)
def test_each_column_is_what_it_is_in_the_whole_file(file: DataFile, name: str) -> None:
    whole = FORMATS["csv"].read(file, "uri")[name]
    pieces = list(FORMATS["csv"].pieces(file, "uri", Wanted([name, "whole"])))
    assert len(pieces) > 10
    assert pa.chunked_array([chunk for piece in pieces for chunk in piece[name].chunks]).equals(whole)


def test_a_fault_far_down_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_streaming, "BLOCK_BYTES", 2000)
    file = written(tmp_path, "a,b\n" + "1,2\n" * 2000 + "1,2,3\n")
    with pytest.raises(DataError, match="line 2002 has 3 values, the header has 2 columns"):
        list(FORMATS["csv"].pieces(file, "uri"))
