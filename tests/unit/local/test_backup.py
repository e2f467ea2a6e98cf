"""A backup of a used home comes back elsewhere: jobs, versions that load, and nothing from a file that was changed."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from ray_app.jobs.logs import JobLogs
from ray_app.jobs.store import JobStore
from ray_app.local.backup import MANIFEST, save
from ray_app.local.backup_restore import restore
from ray_app.local.errors import LocalError
from ray_app.services.assembly import workplace_of
from ray_app.settings import Settings
from training.events import SilentObserver
from training.pipeline import run
from training.registry import versions
from training.registry.store import connect
from training.spec import TrainSpec, parse_spec

ROWS = [{"x": float(index % 17), "k": "abc"[index % 3], "y": "yes" if index % 2 else "no"} for index in range(80)]
SPEC = {
    "name": "toy",
    "data": {"source": {"type": "inline", "rows": ROWS}, "target": "y"},
    "model": {"family": "sklearn", "estimator": "logistic_regression"},
    "evaluation": {"bootstrap_samples": 10},
}


def settings_in(home: Path) -> Settings:
    return Settings(_env_file=None, home=home, base=home)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A home with a finished job and its version."""
    settings = settings_in(tmp_path_factory.mktemp("used"))
    with JobStore(settings.store_url) as store:
        job, _ = store.create("train", "toy", SPEC)
        attempt = store.assign_attempt(job.id)
        store.started(job.id, attempt)
        result = run(parse_spec(TrainSpec, SPEC), workplace_of(settings), SilentObserver(), job_id=job.id)
        store.succeed(job.id, attempt, result.model_dump(mode="json"))
    JobLogs(settings.logs_path).append(job.id, "a line\n")
    return settings, job.id


@pytest.fixture
def archive(used: tuple[Settings, str], tmp_path: Path) -> Path:
    target = tmp_path / "backup.tar.gz"
    with closing(sqlite3.connect(used[0].home_path / "jobs.db")) as writer:
        # somebody is in the middle of a transaction
        writer.execute("BEGIN IMMEDIATE")
        manifest = save(used[0], target)
    assert {"jobs.db", "mlflow.db"} <= {file.path for file in manifest.files}
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["backup.tar.gz"], "no draft is left"
    return target


def test_everything_comes_back_in_another_home(used: tuple[Settings, str], archive: Path, tmp_path: Path) -> None:
    before, job_id = used
    after = settings_in(tmp_path / "new")
    restore(after, archive)
    with JobStore(before.store_url) as one, JobStore(after.store_url) as other:
        assert one.get(job_id) == other.get(job_id)
        assert one.events(job_id) == other.events(job_id)
    assert JobLogs(after.logs_path).read(job_id, 0)[0] == "a line\n"
    info = versions.resolve(connect(after.tracking_uri), "toy", None, "champion")
    assert str(tmp_path / "new") in info.source
    assert versions.load(info).target == "y"
    assert list((tmp_path / "new").glob(".restore*")) == []
    result = run(parse_spec(TrainSpec, SPEC), workplace_of(after), SilentObserver(), job_id="job_after")
    assert result.model.version == "2", "the restored registry goes on"


def test_a_home_in_use_is_not_touched(used: tuple[Settings, str], archive: Path) -> None:
    before = sorted(used[0].home_path.iterdir())
    with pytest.raises(LocalError, match=r"holds jobs\.db"):
        restore(used[0], archive)
    assert sorted(used[0].home_path.iterdir()) == before


def rewritten(archive: Path, change: dict[str, bytes]) -> Path:
    """The archive with other content of some members; an unknown name is added."""
    changed = archive.with_name("changed.tar.gz")
    with tarfile.open(archive) as source, tarfile.open(changed, "w:gz") as target:
        for member in source:
            file = source.extractfile(member)
            assert file is not None
            content = change.pop(member.name, file.read())
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
        for name, content in change.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    return changed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"jobs.db": b"other"}, "not what was saved"),
        ({"../outside": b"x"}, "no backup has"),
        ({"/outside": b"x"}, "no backup has"),
        ({"artifacts/more": b"x"}, "does not name"),
        ({MANIFEST: b"{}"}, "no manifest"),
    ],
)
def test_a_changed_archive_leaves_nothing(archive: Path, tmp_path: Path, change: dict[str, bytes], says: str) -> None:
    home = tmp_path / "new"
    with pytest.raises(LocalError, match=says):
        restore(settings_in(home), rewritten(archive, change))
    assert list(home.iterdir()) == []
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_archive_leaves_nothing(archive: Path, tmp_path: Path, share: float) -> None:
    content = archive.read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(LocalError, match=r"not a whole backup|manifest"):
        restore(settings_in(tmp_path / "new"), cut)
    assert list((tmp_path / "new").iterdir()) == []


def test_what_cannot_be_saved_is_said(tmp_path: Path, archive: Path, used: tuple[Settings, str]) -> None:
    with pytest.raises(LocalError, match="nothing to save"):
        save(settings_in(tmp_path / "empty"), tmp_path / "x.tar.gz")
    with pytest.raises(LocalError, match="exists"):
        save(used[0], archive)
    remote = used[0].model_copy(update={"mlflow_tracking_uri": "postgresql://db/mlflow"})
    with pytest.raises(LocalError, match="MLFLOW_TRACKING_URI"):
        save(remote, tmp_path / "x.tar.gz")
    assert not (tmp_path / "x.tar.gz").exists()


def test_the_manifest_tells_all(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        names = opened.getnames()
        file = opened.extractfile(MANIFEST)
        assert file is not None
        manifest = json.load(file)
    assert names[-1] == MANIFEST
    assert sorted(saved["path"] for saved in manifest["files"]) == sorted(names[:-1])
    assert shutil.disk_usage("/").total > sum(saved["size_bytes"] for saved in manifest["files"])
