"""Files that are not what they should be, each with the message that helps."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data import DataAccess, SnapshotStore, load, loading
from training.data.formats import FORMATS, csv_parsing
from training.data.snapshots import Use, shape_of
from training.errors import DataError
from training.spec import FileSource, InlineSource, SnapshotSource

Fault = Callable[..., DataError]
PARQUET = {"a": list(range(1000)), "b": [f"text {i}" for i in range(1000)]}

LARGE_GZIP = gzip.compress(np.random.default_rng(0).bytes(300_000).hex().encode())


@pytest.fixture
def read(access, folder):
    """Writes one file and reads it."""

    def _read(name: str, content: str | bytes, **source) -> pd.DataFrame:
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
        return load(FileSource(uri=name, **source), access).frame

    return _read


@pytest.fixture
def fault(read) -> Fault:
    """Writes one file and gives the error that reading it raises."""

    def _fault(name: str, content: str | bytes, **source) -> DataError:
        with pytest.raises(DataError) as caught:
            read(name, content, **source)
        error = caught.value
        assert error.problems[0].field == "data.source.uri"
        assert error.hint, "says the remedy"
        json.dumps(error.problems[0].as_dict())
        return error

    return _fault


def parquet_bytes(table: dict | pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", " \n\n", "the file is empty"),
        ("a.csv", "\ufeff", "the file is empty"),
        ("a.csv", "a,b\n", "a header line, but no rows"),
        ("a.csv", "a,b", "a header line, but no rows"),
        ("a.csv", "a,b\n1,2\n3\n", "line 3 has 1 values, the header has 2 columns"),
        ("a.csv", 'a,b\n"1\nx",2\n3,4,5\n', "line 4 has 3 values, the header has 2 columns"),
        ("a.csv", "a,b,a\n1,2,3\n", "more than one column named 'a'"),
        ("a.csv", b"a,b\n1,x\n2,caf\xe9\n", "line 3 is not UTF-8"),
        ("a.csv", b"a,caf\xe9\n1,x\n", "line 1 is not UTF-8"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a.csv", b"a,b\n1,\x00\n", "binary"),
        ("a.csv", '{"a": 1}\n{"a": 2}\n', "the first line is JSON"),
        ("a.csv", parquet_bytes(PARQUET), "looks like Parquet"),
        ("a.csv", gzip.compress(b"a,b\n1,2\n", mtime=0), "looks like gzip"),
        ("a.csv", b"PK\x03\x04....", "Excel"),
        ("a.csv", "\n<!doctype html><html>", "HTML"),
        ("a.csv.gz", b"a,b\n1,2\n", "damaged or cut off"),
        ("a.csv.gz", LARGE_GZIP[:200_000], "damaged or cut off"),
        ("a.jsonl", "", "the file is empty"),
        ("a.jsonl", '{"a": 1}\n\n{"a": 2\n', "line 3 is not a JSON object"),
        ("a.jsonl", '{"a": 1}\n[2]\n', "line 2 is list, not a JSON object"),
        ("a.jsonl", '[{"a": 1}, {"a": 2}]', "line 1 is list"),
        ("a.jsonl", '{"a": 1, "a": 2}\n', "the key 'a' occurs twice"),
        ("a.jsonl", "{}\n{}\n", "no columns"),
        ("a.jsonl", "a,b\n1,2\n", "line 1 is not a JSON object"),
        ("a.jsonl", b'{"a": "caf\xe9"}\n', "line 1 is not UTF-8"),
        ("a.jsonl", '{"a": {"b": 1}}\n{"a": {"b": 2}}\n', "column 'a' holds struct"),
        ("a.jsonl", '{"a": 1}\n{"a": [1]}\n', "row 2 of column 'a' is list"),
        ("a.jsonl", '{"a":' + "[" * 100_000, "line 1 is not a JSON object"),
        ("a.parquet", "", "the file is empty"),
        ("a.parquet", "a,b\n1,2\n", "not Parquet: the file looks like text"),
        ("a.parquet", parquet_bytes(PARQUET)[:3000], "damaged or cut off"),
        ("a.parquet", parquet_bytes({"a": pa.array([], pa.int64())}), "no rows"),
        ("a.parquet", parquet_bytes({"a": [[1], [2]]}), "column 'a' holds list"),
        ("a.parquet", parquet_bytes({"a": [b"x", b"y"]}), "column 'a' holds binary"),
        ("a.parquet", parquet_bytes(pa.table([[1], [2]], names=["a", "a"])), "more than one column named 'a'"),
        ("a.txt", "a,b\n1,2\n", "the suffix says no format"),
    ],
)  # fmt: skip
def test_bad_file(fault, name, content, message):
    assert message in fault(name, content).message


def test_a_damaged_page_of_parquet(fault):
    content = bytearray(parquet_bytes(PARQUET))
    content[10:2000] = b"\xff" * 1990
    assert "damaged" in fault("a.parquet", bytes(content)).message


@pytest.mark.parametrize(("name", "kind"), [("a.csv", "csv"), ("a.parquet", "parquet"), ("a.jsonl", "jsonl")])
def test_a_file_that_goes_away_between_the_check_and_the_reading(access, folder, name, kind):
    (folder / name).write_text("a,b\n1,2\n")
    (file,) = access.files(name)
    (folder / name).unlink()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        FORMATS[kind].read(file, "data.source.uri")


def test_the_format_can_be_said(read):
    assert read("a.txt", "a,b\n1,2\n", format="csv").shape == (1, 2)
    assert read("b.data", '{"a": 1}\n', format="jsonl").shape == (1, 1)


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_separators(read, sign):
    frame = read("a.csv", f'"x{sign}y"{sign}b\n1{sign}2\n')
    assert list(frame.columns) == [f"x{sign}y", "b"]


def test_byte_order_mark_crlf_and_missing_line_end(read):
    frame = read("a.csv", "\ufeffa,b\r\n1,x\r\n2,y")
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert read("a.jsonl", '\ufeff{"a": 1}\n{"a": "x"}').to_dict("list") == {"a": ["1", "x"]}


def test_what_csv_takes_for_missing(read):
    frame = read("a.csv", 'a,b\n1,\nNA,None\nnan,none\n,""\n4,x\n')
    assert frame["a"].isna().tolist() == [False, True, True, True, False]
    assert frame["b"].tolist() == [None, "None", "none", None, "x"]


@pytest.mark.parametrize("large_bytes", [0, csv_parsing.LARGE_BYTES])
@pytest.mark.parametrize(
    ("last", "types"),
    [
        ("7,7,7,7", ["int64"] * 4),
        ("0.5,word,,2024-05-31", ["float64", "object", "float64", "object"]),
        ("0.5,0.5,0.5,0.5", ["float64"] * 4),
        ("a,b,c,d", ["object"] * 4),
        ("a,b,c,d,e", None),
    ],
)
def test_a_type_that_shows_late(read, monkeypatch, large_bytes, last, types):
    monkeypatch.setattr(csv_parsing, "LARGE_BYTES", large_bytes)
    rows = 200_000
    text = "a,b,c,d\n" + "".join(f"{i},{i},{i},{i}\n" for i in range(rows)) + last
    if types is None:
        with pytest.raises(DataError, match=f"line {rows + 2} has 5 values"):
            read("a.csv", text)
        return
    frame = read("a.csv", text)
    assert [str(kind) for kind in frame.dtypes] == types
    assert [str(value) for value in frame.iloc[-1]] == [value or "nan" for value in last.split(",")]


def test_a_large_file_whose_column_begins_with_nothing(read, monkeypatch):
    monkeypatch.setattr(csv_parsing, "LARGE_BYTES", 0)
    frame = read("a.csv", "a,b\n" + ",1\n" * 1_000_000 + "x,2\n")
    assert frame["a"].iloc[-1] == "x"
    assert frame["b"].sum() == 1_000_002


def test_times_of_day_stay_text(read):
    assert read("a.csv", "a,b\n12:30,1\n07:05,2\n")["a"].tolist() == ["12:30", "07:05"]
    assert read("a.parquet", parquet_bytes({"a": pa.array([0, 60], pa.time32("s"))}))["a"].tolist() == [
        "00:00:00",
        "00:01:00",
    ]


def test_large_floats_are_numbers_and_long_digits_are_text(read):
    frame = read("a.csv", f"a,b\n1e20,{10**20}\n3,{10**20 + 1}\n")
    assert frame["a"].tolist() == [1e20, 3.0]
    assert frame["b"].tolist() == [str(10**20), str(10**20 + 1)]


def test_a_column_without_a_name(read):
    assert list(read("a.csv", ",b\n0,x\n1,y\n").columns) == ["Unnamed: 0", "b"]


def test_numbers_and_text_in_one_column_of_json_are_text(read):
    assert read("a.jsonl", '{"a": 1}\n{"a": "x"}\n{"a": true}\n{"a": 2.5}\n')["a"].tolist() == ["1", "x", "true", "2.5"]


def test_absent_keys_are_missing(read, access):
    assert read("a.jsonl", '{"a": 1}\n{"b": 2}\n')["b"].isna().tolist() == [True, False]
    frame = load(InlineSource(rows=[{"a": 1}, {"b": 2}]), access).frame
    assert frame["a"].isna().tolist() == [False, True]


def test_arrow_types_of_parquet(read):
    table = pa.table(
        {
            "decimal": pa.array([Decimal("1.10"), None]),
            "units": pa.array([Decimal(3), Decimal(4)], pa.decimal128(10, 0)),
            "long": pa.array([Decimal(10**30), None], pa.decimal128(38, 0)),
            "dictionary": pa.array(["x", None]).dictionary_encode(),
            "codes": pa.array([7, 8]).dictionary_encode(),
            "small": pa.array([1, 2], pa.int8()),
            "single": pa.array([0.5, None], pa.float32()),
            "half": pa.array([np.float16(0.5), None], pa.float16()),
            "span": pa.array([1500, None], pa.duration("ms")),
            "far": pa.array([253402214400, None], pa.timestamp("s", tz="America/New_York")),
            "view": pa.array(["x", "y"], pa.string_view()),
        }
    )
    frame = read("a.parquet", parquet_bytes(table))
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "decimal": "float64", "units": "int64", "long": "object", "dictionary": "object", "codes": "int64",
        "small": "int64", "single": "float32", "half": "float32", "span": "float64", "far": "datetime64[us]",
        "view": "object",
    }  # fmt: skip
    assert frame["long"].tolist() == [str(10**30), None]
    assert frame["span"].iloc[0] == 1.5
    assert frame["far"].dt.year.iloc[0] == 9999


def test_chunks_compression_and_encoding_do_not_change_the_hash(access, folder):
    table = pa.table(
        {"n": [1.5, None, float("nan"), 4.0], "t": ["x", None, "", "yy"], "flag": [True, None, False, True]}
    )
    dictionary = table.set_column(1, "t", table["t"].dictionary_encode())
    for name, variant, options in [
        ("a", table, {}),
        ("b", dictionary, {"row_group_size": 1, "compression": "gzip"}),
        ("c", pa.concat_tables([table.slice(0, 1), table.slice(1)]), {"use_dictionary": False}),
    ]:
        pq.write_table(variant, folder / f"{name}.parquet", **options)
    assert len({load(FileSource(uri=f"{name}.parquet"), access).sha256 for name in "abc"}) == 1


def test_unnamed_row_labels_of_pandas_are_left_out(access, folder):
    pd.DataFrame({"a": [1, 2]}, index=[5, 9]).to_parquet(folder / "a.parquet")
    assert list(load(FileSource(uri="a.parquet"), access).frame.columns) == ["a"]


def write_all(folder: Path, **files: str) -> None:
    for name, text in files.items():
        stem, suffix = name.rsplit("_", 1)
        (folder / f"{stem}.{suffix}").write_text(text)


def test_a_folder_is_read_in_the_order_of_its_names(access, folder):
    write_all(folder, b_csv="y,x\n2.5,3\n", a_csv="x,y\n1,\n", notes_md="# not data")
    frame = load(FileSource(uri="."), access).frame
    assert frame["x"].tolist() == [1, 3]
    assert frame["y"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a_csv": "x,y\n1,2\n", "b_csv": "x,z\n1,2\n"},
            "b.csv has no column 'y', which other files have; known: x, z",
        ),
        (
            {"a_csv": "x,y\n1,2\n", "b_csv": "x,y\n1,word\n"},
            "column 'y' holds int64 in .: a.csv and string in .: b.csv",
        ),
        ({"a_csv": "x,y\n1,2\n", "b_jsonl": '{"x": 1}'}, "files of more than one format: csv, jsonl"),
        ({"a_csv": f"x,y\n1,{2**60 + 1}\n", "b_csv": "x,y\n1,2.5\n"}, "too long for float64"),
        ({"a_md": "# not data"}, "the suffix says no format"),
    ],
)
def test_files_of_a_folder_that_do_not_fit(access, folder, files, message):
    write_all(folder, **files)
    with pytest.raises(DataError) as caught:
        load(FileSource(uri="."), access)
    assert message in caught.value.message
    assert caught.value.hint


def test_inline_rows_without_columns(access):
    with pytest.raises(DataError, match="rows without columns"):
        load(InlineSource(rows=[{}, {}]), access)


def test_the_field_of_messages_can_be_said(access: DataAccess):
    with pytest.raises(DataError) as caught:
        load(FileSource(uri="absent.csv"), access, field="evaluation.source")
    assert caught.value.problems[0].field == "evaluation.source.uri"


@pytest.mark.parametrize("large", [False, True])
def test_text_stored_as_codes_is_text_like_any_other(
    folder: Path, access: DataAccess, monkeypatch: pytest.MonkeyPatch, *, large: bool
) -> None:
    monkeypatch.setattr(loading, "_LARGE_BYTES", 0 if large else 2**40)
    number, day = pa.array(range(1200)), pa.array(["2024-01-01", "2024-01-02", None] * 400)
    texts = pa.table({"k": ["red", None, "größe", "red"] * 300, "u": number.cast(pa.string()), "t": day})
    pq.write_table(texts, folder / "coded.parquet", row_group_size=500)
    pq.write_table(texts, folder / "plain.parquet", use_dictionary=False)
    store = SnapshotStore(str(folder / "store"))

    def keep(rows: pa.Table, sha256: str, uri: str) -> str:
        return store.keep(rows, sha256, Use("job", "model", {}, uri, *shape_of(rows)))

    coded, plain = (load(FileSource(uri=f"{name}.parquet"), access, keep=keep) for name in ("coded", "plain"))
    assert coded.sha256 == plain.sha256
    pd.testing.assert_frame_equal(coded.frame, plain.frame)
    assert coded.frame["k"].tolist()[:3] == ["red", None, "größe"]
    assert coded.frame["t"].dtype.kind == "M"
    assert store.is_whole(coded.sha256)
    again = load(SnapshotSource(sha256=coded.sha256), DataAccess((), Path(), store=str(folder / "store")))
    assert again.sha256 == coded.sha256
    pd.testing.assert_frame_equal(again.frame, coded.frame)
