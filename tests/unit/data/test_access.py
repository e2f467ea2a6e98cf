import os
import pickle
from pathlib import Path

import fsspec
import pytest

from training.data import DataAccess, load
from training.errors import AccessError, DataError
from training.spec import FileSource


def write(path: Path, text: str = "a,b\n1,2\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(access: DataAccess, uri: str) -> list[str]:
    return [Path(file.path).name for file in access.files(uri)]


def test_relative_absolute_and_file_uri_name_the_same_file(access, folder):
    path = write(folder / "sub" / "é data.csv")
    for uri in ("sub/é data.csv", "sub/../sub/é data.csv", str(path), path.as_uri(), f"file://localhost{path}"):
        assert names(access, uri) == ["é data.csv"]


@pytest.mark.parametrize(
    "uri",
    [
        "../secret.csv", "../absent.csv", "../*.csv", "../**/*.csv", "sub/../../secret.csv", "/etc/passwd",
        "/etc/absent",
        "file:///etc/passwd", "file://server/share.csv", "http://example.org/a.csv", "https://example.org/a.csv",
        "ftp://example.org/a.csv", "s3://bucket/a.csv", "simplecache::http://example.org/a.csv", "~/a.csv\0", "",
        "../allowed2/a.csv",
    ],
)  # fmt: skip
def test_whatever_is_outside_the_roots_is_refused(access, folder, uri):
    write(folder.parent / "secret.csv", "top,secret\n1,2\n")
    write(folder.parent / "allowed2" / "a.csv")
    if uri == "":
        uri = str(folder.parent)
    with pytest.raises(AccessError) as caught:
        access.files(uri)
    problem = caught.value.problems[0]
    assert (problem.field, problem.value) == ("data.source.uri", uri)
    assert caught.value.hint or "null" in problem.message


def test_a_refusal_is_the_same_whether_the_file_exists_or_not(access, folder):
    write(folder.parent / "there.csv")
    messages = set()
    for uri in ("../there.csv", "../absent.csv", "/etc/passwd", "/nowhere/at/all.csv"):
        with pytest.raises(AccessError) as caught:
            access.files(uri)
        messages.add((caught.value.message, caught.value.hint))
    assert len(messages) == 1


def test_links_are_followed_before_the_check(access, folder):
    outside = write(folder.parent / "outside" / "secret.csv").parent
    (folder / "file.csv").symlink_to(outside / "secret.csv")
    (folder / "folder").symlink_to(outside)
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "dangling.csv").symlink_to(outside / "absent.csv")
    write(folder / "real.csv")
    (folder / "inner.csv").symlink_to(folder / "real.csv")
    for uri in ("file.csv", "folder/secret.csv", "folder", "*.csv", "folder/*.csv", "loop.csv", "dangling.csv", "."):
        with pytest.raises(AccessError):
            access.files(uri)
    assert names(access, "inner.csv") == ["real.csv"]


def test_a_root_may_be_a_link_itself(folder):
    write(folder / "a.csv")
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert names(DataAccess((str(link),), link), "a.csv") == ["a.csv"]
    assert names(DataAccess((link.as_uri(),), link), "a.csv") == ["a.csv"]


def test_folder_and_globs(access, folder):
    for name in ("b.csv", "a.csv", ".hidden.csv", "_SUCCESS", "deep/c.csv", "deep/er/d.csv"):
        write(folder / name)
    assert names(access, ".") == ["a.csv", "b.csv"]
    assert names(access, str(folder)) == ["a.csv", "b.csv"]
    assert names(access, "*.csv") == ["a.csv", "b.csv"]
    assert names(access, "[a]*.csv") == ["a.csv"]
    assert names(access, "**/*.csv") == ["a.csv", "b.csv", "c.csv", "d.csv"]
    assert names(access, "deep/?.csv") == ["c.csv"]


def test_signs_of_a_glob_in_a_real_name_or_in_the_base(tmp_path):
    base = tmp_path / "odd [1] *"
    write(base / "a[1].csv")
    access = DataAccess((str(base),), base)
    assert names(access, "a[1].csv") == ["a[1].csv"]
    assert names(access, "*.csv") == ["a[1].csv"]


def test_a_glob_may_not_climb(access, folder):
    write(folder / "a" / "x.csv")
    with pytest.raises(AccessError):
        access.files("*/../../secret.csv")
    with pytest.raises(AccessError, match="may not go up"):
        access.files("*/../*/x.csv")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("germancredit.csv", "no such file; nearest: german_credit.csv"),
        ("dep/x.csv", "no such file; nearest: deep"),
        ("zzz/qqq.csv", "no such file"),
        ("none*.csv", "no file there"),
        ("a**b/x.csv", "not a glob"),
        ("x" * 300 + ".csv", "cannot be read"),
        ("pipe.csv", "no regular file"),
        ("empty", "no file there"),
    ],
)
def test_what_is_not_there_or_is_no_file(access, folder, uri, message):
    write(folder / "german_credit.csv")
    (folder / "deep").mkdir()
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(DataError) as caught:
        access.files(uri)
    assert not isinstance(caught.value, AccessError)
    assert message in caught.value.message
    assert caught.value.problems[0].field == "data.source.uri"
    assert caught.value.hint


def test_too_large(folder):
    write(folder / "a.csv", "x\n" * 1000)
    with pytest.raises(DataError, match="limit"):
        DataAccess((str(folder),), folder, max_bytes=1000).files("a.csv")


def test_picklable(access):
    assert pickle.loads(pickle.dumps(access)) == access  # noqa: S301 - our own bytes


@pytest.fixture
def bucket():
    store = fsspec.filesystem("memory")
    for path in ("/bucket/data/a.csv", "/bucket/data/b.csv", "/bucket/data/deep/c.csv", "/bucket/data2/secret.csv"):
        store.pipe(path, b"x,y\n1,2\n")
    yield
    store.rm("/bucket", recursive=True)


@pytest.mark.usefixtures("bucket")
def test_files_on_object_storage(folder):
    access = DataAccess(("memory://bucket/data",), folder)
    assert names(access, "memory://bucket/data/a.csv") == ["a.csv"]
    assert names(access, "memory://bucket/data/") == ["a.csv", "b.csv"]
    assert names(access, "memory://bucket/data/*.csv") == ["a.csv", "b.csv", "c.csv"]
    assert load(FileSource(uri="memory://bucket/data/*.csv"), access).frame.shape == (3, 2)
    with pytest.raises(DataError, match="no such file"):
        access.files("memory://bucket/data/absent.csv")


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    "uri",
    [
        "memory://bucket/data2/secret.csv", "memory://bucket/data/../data2/secret.csv", "memory://bucket/absent.csv",
        "memory://user:pass@bucket/data/a.csv", "memory://bucket/data/a.csv?endpoint_override=example.org",
        "memory://bucket/data/a.csv#x", "s3://bucket/data/a.csv", "MEMORY://bucket/data2/secret.csv",
    ],
)  # fmt: skip
def test_object_storage_outside_the_prefix_or_with_options_of_its_own(folder, uri):
    with pytest.raises(AccessError):
        DataAccess(("memory://bucket/data",), folder).files(uri)


def test_credentials_of_a_root_are_never_shown(folder):
    access = DataAccess(("s3://KEYID:TOPSECRET@bucket/data?region=eu-west-1",), folder)
    with pytest.raises(AccessError) as caught:
        access.files("s3://bucket/other/a.csv")
    assert "s3://bucket/data" in caught.value.hint
    assert "TOPSECRET" not in str(caught.value.details())
