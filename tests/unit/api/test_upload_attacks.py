"""A caller uploads what is made to harm: each is refused or read as plain rows, no code runs, and nothing is left."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data.uploads import FOLDER

UPLOADS = "/api/v1/datasets"
ROWS = pa.table({"x": np.arange(80.0), "y": ["yes", "no"] * 40})


class Harm:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def with_pickled_type(path: Path) -> bytes:
    """Parquet whose metadata hold a pickle that old releases of Arrow loaded (CVE-2023-47248)."""
    extension = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Harm(path)),
    }
    schema = pa.schema([pa.field("x", pa.float64(), metadata=extension), pa.field("y", pa.string())])
    content = io.BytesIO()
    pq.write_table(ROWS.cast(schema), content)
    return content.getvalue()


def post(api: Any, name: str, content: bytes) -> Any:
    return api.post(UPLOADS, files={"file": (name, content)})


def stored(api: Any) -> set[str]:
    folder = Path(api.settings.artifacts) / FOLDER
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def bomb(megabytes: int) -> bytes:
    return gzip.compress(b"x,y\n" + b"0,0\n" * (megabytes * 250_000), compresslevel=9)


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../../etc/cron.d/evil.csv", "x,y\n1,2\n")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.pkl", pickle.dumps({"x": 1})),
        ("model.csv", pickle.dumps({"x": 1})),
        ("rows.parquet", pickle.dumps({"x": 1})),
        ("rows.csv", zipped()),
        ("rows.csv.gz", zipped()),
        ("rows.zip", zipped()),
        ("rows.parquet", b"PAR1" + b"\xff" * 100 + b"PAR1"),
        ("rows.csv", b"\x00" * 1000),
        ("rows.csv.gz", gzip.compress(b"x,y\n1,2\n" * 1000, mtime=0)[:-20]),
        ("rows.csv.gz", gzip.compress(gzip.compress(b"x,y\n1,2\n", mtime=0), mtime=0)),
        ("rows.csv", b"x,x\n1,2\n"),
        ("", b"x,y\n1,2\n"),
        ("a" * 300 + ".csv", b"x,y\n1,2\n"),
        ("x\x07.csv", b"x,y\n1,2\n"),
    ],
)
def test_what_is_no_table_is_refused(api: Any, name: str, content: bytes) -> None:
    before = stored(api)
    answer = post(api, name, content)
    if answer.status_code == 201:  # its first lines are a table; the rest is found by whoever reads them
        answer = api.post("/api/v1/train?dry_run=true", json=spec_of(answer.json()["id"]))
    else:
        assert stored(api) == before
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["../../evil.csv", "/etc/cron.d/evil.csv", "..\\..\\evil.csv", "C:\\evil.csv"])
def test_the_name_of_a_file_leads_nowhere(api: Any, name: str) -> None:
    kept = post(api, name, b"x,y\n1,2\n").json()
    assert kept["name"] == "evil.csv"
    assert {path.name for path in (Path(api.settings.artifacts) / FOLDER / kept["id"]).iterdir()} == {
        "dataset.json", "rows.csv",
    }  # fmt: skip


def test_a_bomb_is_not_unfolded(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.files.MIN_EXPANDED_BYTES", 2**20)
    before = stored(api)
    refused = post(api, "bomb.csv.gz", bomb(8))
    assert refused.status_code == 422
    assert stored(api) == before
    assert "expand to far more than a table has" in refused.json()["detail"]


def test_a_pickle_in_parquet_is_not_loaded(api: Any, tmp_path: Path) -> None:
    kept = post(api, "rows.parquet", with_pickled_type(tmp_path / "harmed"))
    if kept.status_code == 201:
        api.post("/api/v1/train?dry_run=true", json=spec_of(kept.json()["id"]))
    assert not (tmp_path / "harmed").exists()


def test_an_identifier_leads_nowhere(api: Any) -> None:
    for wrong in ("../../jobs.db", "data_../x", "data_", "data_%2e%2e", "data_x/../../y", "*"):
        assert api.post("/api/v1/train?dry_run=true", json=spec_of(wrong)).status_code in {404, 422}
        assert api("DELETE", f"{UPLOADS}/{wrong}").status_code in {404, 405}


def spec_of(upload: str) -> dict[str, Any]:
    return {
        "name": "toy", "data": {"source": {"type": "upload", "id": upload}, "target": "y"},
        "model": {"family": "sklearn", "estimator": "logistic_regression"},
    }  # fmt: skip
