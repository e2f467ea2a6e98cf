"""Object storage behind a real S3 API server: folders, partitions, snapshots and uploads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from training.data import DataAccess, SnapshotStore, load, size_bytes
from training.data.snapshots import Use
from training.data.uploads import UploadStore
from training.errors import AccessError, DataError, UnavailableError
from training.spec import FileSource, SnapshotSource, UploadSource

FRAME = pd.DataFrame({"n": np.arange(90), "k": np.array(["a", "b", "c"])[np.arange(90) % 3], "y": np.arange(90) % 2})
KEY = "AKIAEXAMPLE"
SECRET = "s3-very-secret"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket with three partitions of a table; address and credentials are in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            environment.setenv(name, value)
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="lake")
        folder = tmp_path_factory.mktemp("parts")
        for number, year in enumerate((2022, 2023, 2024)):
            FRAME.iloc[30 * number : 30 * number + 30].to_parquet(folder / f"{year}.parquet", index=False)
            client.upload_file(str(folder / f"{year}.parquet"), "lake", f"data/loans/year={year}/part-0.parquet")
        client.put_object(Bucket="lake", Key="data/rows.csv", Body=FRAME.to_csv(index=False).encode())
        client.put_object(Bucket="lake", Key="private/rows.csv", Body=b"a\n1\n")
        try:
            yield f"http://{host}:{port}"
        finally:
            client.close()
            server.stop()


@pytest.fixture
def access(bucket: str, tmp_path: Path) -> DataAccess:
    return DataAccess(("s3://lake/data",), tmp_path, store="s3://lake/artifacts")


def test_a_file_and_a_partitioned_folder(access: DataAccess) -> None:
    assert load(FileSource(uri="s3://lake/data/rows.csv"), access).frame["n"].tolist() == list(range(90))
    frame = load(FileSource(uri="s3://lake/data/loans"), access).frame
    assert frame["n"].tolist() == list(range(90))
    assert sorted(frame["year"].unique()) == [2022, 2023, 2024]
    assert size_bytes(FileSource(uri="s3://lake/data/loans"), access) > 1000


def test_columns_and_conditions(access: DataAccess) -> None:
    source = FileSource(uri="s3://lake/data/loans", filter=[("year", ">", 2022), ("n", "<", 70)])
    frame = load(source, access, columns=["n", "y"]).frame
    assert list(frame.columns) == ["n", "y"]
    assert frame["n"].tolist() == list(range(30, 70))


def test_what_is_not_under_the_root_is_refused(access: DataAccess) -> None:
    for uri in ("s3://lake/private/rows.csv", "s3://other/data/rows.csv", "s3://lake/data/../private/rows.csv"):
        with pytest.raises(AccessError, match="not under a data root"):
            load(FileSource(uri=uri), access)
    with pytest.raises(DataError, match="no such file"):
        load(FileSource(uri="s3://lake/data/nothing.csv"), access)


def test_snapshots_and_uploads_live_there_too(access: DataAccess, tmp_path: Path) -> None:
    store = SnapshotStore("s3://lake/artifacts")

    def keep(table: object, sha256: str, uri: str) -> str:
        return store.keep(table, sha256, Use("job_s3", "model", {}, uri, 90, 3))

    first = load(FileSource(uri="s3://lake/data/rows.csv"), access, keep=keep)
    assert first.snapshot == f"s3://lake/artifacts/_snapshots/{first.sha256}/rows.parquet"
    assert load(SnapshotSource(sha256=first.sha256), access).sha256 == first.sha256
    assert store.uses(first.sha256)[0].job_id == "job_s3"
    assert store.hashes() == [first.sha256]

    FRAME.to_csv(tmp_path / "mine.csv", index=False)
    uploads = UploadStore("s3://lake/artifacts")
    kept = uploads.keep(tmp_path / "mine.csv", "mine.csv", "somebody")
    assert load(UploadSource(id=kept.id), access).sha256 == first.sha256
    uploads.remove(kept.id)
    assert uploads.page(10, None).items == []


def test_storage_that_is_away_is_named_without_its_keys(access: DataAccess) -> None:
    # port 9 answers nobody
    root = f"s3://{KEY}:{SECRET}@lake/data?endpoint_override=http%3A%2F%2F127.0.0.1%3A9&region=us-east-1"
    away = replace(access, roots=(root,))
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        load(FileSource(uri="s3://lake/data/rows.csv"), away)
    assert SECRET not in f"{caught.value!r} {caught.value.details()}"
