"""Uploads: kept whole or not at all, listed, named by a spec, deleted."""

from __future__ import annotations

import asyncio
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.data.formats import parquet_format
from training.data.uploads import FOLDER

FRAME = pd.DataFrame({"x": np.arange(60.0), "y": ["yes", "no", "no"] * 20})


def parquet() -> bytes:
    content = io.BytesIO()
    FRAME.to_parquet(content)
    return content.getvalue()


def csv() -> bytes:
    return FRAME.to_csv(index=False).encode()


@pytest.fixture
def api(make_api: Any, tmp_path: Path) -> Any:
    return make_api(max_upload_mb=0.1)


def post(api: Any, name: str, content: bytes) -> Any:
    return api.post("/api/v1/datasets", files={"file": (name, content)})


def kept(api: Any) -> list[str]:
    folder = Path(api.settings.artifacts) / FOLDER
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", csv(), None),
        ("a.CSV", csv(), None),
        ("b.csv.gz", gzip.compress(csv(), mtime=0), None),
        ("c.parquet", parquet(), 60),
    ],
)
def test_an_upload_can_be_named_by_a_spec(api: Any, name: str, content: bytes, rows: int | None) -> None:
    answer = post(api, name, content)
    assert answer.status_code == 201, answer.text
    upload = answer.json()
    assert (upload["columns"], upload["rows"], upload["name"]) == (["x", "y"], rows, name)
    spec = {"name": "toy", "data": {"source": {"type": "upload", "id": upload["id"]}, "target": "y"}}
    plan = api.post("/api/v1/train?dry_run=true", json=spec)
    assert plan.status_code == 200, plan.text
    assert plan.json()["data"]["rows"] == 60


def test_uploads_are_listed_newest_first_and_deleted(api: Any) -> None:
    ids = [post(api, f"{number}.csv", csv()).json()["id"] for number in range(3)]
    first = api.get("/api/v1/datasets?limit=2").json()
    mine = [item["id"] for item in first["items"]]
    assert set(mine) <= set(ids)
    second = api.get(f"/api/v1/datasets?limit=200&cursor={first['next_cursor']}").json()
    assert set(mine) & {item["id"] for item in second["items"]} == set()

    assert api("DELETE", f"/api/v1/datasets/{ids[0]}").status_code == 204
    assert api("DELETE", f"/api/v1/datasets/{ids[0]}").status_code == 404
    spec = {"name": "toy", "data": {"source": {"type": "upload", "id": ids[0]}, "target": "y"}}
    answer = api.post("/api/v1/train", json=spec)
    assert answer.status_code == 404
    assert f"no upload {ids[0]}" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("a.xlsx", b"PK\x03\x04", 422, "neither CSV nor Parquet"),
        ("a.parquet", parquet()[:-9], 422, "damaged or cut off"),
        ("a.parquet", csv(), 422, "damaged or cut off"),
        ("a.csv", b"", 422, "empty"),
        ("a.csv", parquet(), 422, "looks like Parquet"),
        ("a.csv.gz", gzip.compress(csv(), mtime=0)[:-30], 422, "damaged"),
        ("a.csv", b"x,y\n" + b"1,2\n" * 50_000, 413, "larger than 0.1 MB"),
        ("../../etc/passwd", csv(), 422, "neither CSV nor Parquet"),
    ],
)
def test_what_cannot_be_used_is_not_kept(api: Any, name: str, content: bytes, status: int, words: str) -> None:
    before = kept(api)
    answer = post(api, name, content)
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert kept(api) == before


def test_a_parquet_bomb_is_refused_by_its_footer(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_format, "MIN_EXPANDED_BYTES", 2**20)
    before = kept(api)
    content = io.BytesIO()
    pd.DataFrame({"x": np.zeros(2_000_000, np.int8), "y": np.zeros(2_000_000, np.int8)}).to_parquet(content)
    answer = post(api, "bomb.parquet", content.getvalue())
    assert answer.status_code == 422
    assert "expand to far more than a table has" in answer.text
    assert kept(api) == before


def test_what_is_no_form_is_refused(api: Any) -> None:
    assert api.post("/api/v1/datasets", content=csv()).status_code == 415
    assert api.post("/api/v1/datasets", files={"rows": ("a.csv", csv())}).status_code == 400
    two = [("file", ("a.csv", csv())), ("file", ("b.csv", csv()))]
    assert api.post("/api/v1/datasets", files=two).status_code == 400
    form = {"content-type": "multipart/form-data; boundary=b"}
    garbage = api.post("/api/v1/datasets", content=b"garbage", headers=form)
    assert (garbage.status_code, garbage.json()["type"]) == (400, "urn:mts:problem:malformed-error")
    assert "not a form" in garbage.json()["detail"]


def test_an_upload_that_breaks_off_leaves_nothing(api: Any) -> None:
    before = kept(api)
    whole = api.app.build_middleware_stack() if api.app.middleware_stack is None else api.app.middleware_stack
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + csv()
    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/datasets", "raw_path": b"/api/v1/datasets",
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=b"), (b"host", b"localhost")], "app": api.app,
        "http_version": "1.1", "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1),
        "root_path": "",
    }  # fmt: skip
    messages = iter([{"type": "http.request", "body": head, "more_body": True}, {"type": "http.disconnect"}])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    api.portal.call(lambda: whole(scope, receive, send))
    assert sent[0]["status"] == 400
    assert kept(api) == before


def test_an_id_that_is_none_is_not_found(api: Any) -> None:
    assert api("DELETE", "/api/v1/datasets/..").status_code in {404, 405}
    assert api("DELETE", "/api/v1/datasets/data_%2e%2e").status_code == 404
    answer = api.post(
        "/api/v1/train", json={"name": "t", "data": {"source": {"type": "upload", "id": "../x"}, "target": "y"}}
    )
    assert answer.status_code == 422


def test_a_form_has_one_field(api: Any) -> None:
    before, files = kept(api), {"file": ("a.csv", csv())}
    answer = api.post("/api/v1/datasets", files=files, data={"nmae": "loans"})
    assert answer.status_code == 400
    assert "unknown field 'nmae'" in answer.json()["detail"]
    assert api.post("/api/v1/datasets", files=files, data={f"f{n}": "" for n in range(20)}).status_code == 400
    assert api.post("/api/v1/datasets", files={"other": ("a.csv", csv())}).status_code == 400
    assert kept(api) == before
