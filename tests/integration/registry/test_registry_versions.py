"""Versions: whole or not at all, found again, loaded anywhere, errors in our words."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from training.errors import ConflictError, NotFoundError, SpecError, UnavailableError
from training.registry import Registry
from training.registry.packaging import pinned_requirements
from training.spec import TrainSpec, parse_spec

from .conftest import CLASSES, KINDS, Register, Trained, register_in, spec_of


def test_a_version_says_where_it_comes_from(
    registry: Registry, name: str, register: Register, trained: Trained
) -> None:
    reference = register(trained, "job_1")
    info = registry.version(name, reference.version)
    assert (info.version, info.uri, info.status) == ("1", f"models:/{name}/1", "READY")
    assert (info.job_id, info.attempt, info.task) == ("job_1", 1, "binary")
    assert info.data_sha256 == trained.data.sha256
    assert info.lineage == {"data_uri": "file:people.csv", "split": "random"}
    assert info.metrics["roc_auc"].low < info.metrics["roc_auc"].value < info.metrics["roc_auc"].high
    assert info.code_version.startswith("0.")
    assert datetime.now(UTC) - info.created_at < timedelta(minutes=5)
    assert "source" not in info.model_dump()


def test_a_loaded_version_scores_to_the_last_digit(
    registry: Registry, name: str, register: Register, trained: Trained
) -> None:
    reference = register(trained)
    loaded = registry.load(registry.resolve(name, reference.version))
    np.testing.assert_array_equal(loaded.scores(trained.test.frame), trained.model.scores(trained.test.frame))
    assert (loaded.target, loaded.classes, loaded.threshold) == ("default", CLASSES, 0.5)


PLAIN = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"training", "ray_app"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
rows = pd.DataFrame(json.loads(sys.stdin.read()))
answers = model.predict(rows)
print(json.dumps({
    "answers": answers.to_dict("list"),
    "inputs": model.metadata.signature.inputs.input_names(),
    "example": len(model.predict(model.input_example)),
    "serving": len(mlflow.models.utils.load_serving_example(sys.argv[2])),
    "requirements": open(mlflow.pyfunc.get_model_dependencies(sys.argv[2])).read().split(),
    "ours": [name for name in sys.modules if name.split(".")[0] in {"training", "ray_app"}],
}))
"""


def plain_mlflow(registry: Registry, uri: str, rows: list[dict[str, object]], folder: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN, registry.tracking_uri, uri],
        input=json.dumps(rows), capture_output=True, text=True, cwd=folder, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_plain_mlflow_scores_raw_rows_without_this_project(
    registry: Registry, name: str, register: Register, trained: Trained, tmp_path: Path
) -> None:
    reference = register(trained)
    registry.promote(name, reference.version, reason="first", by="test")
    # Whole numbers where training had gaps, a missing category, one never seen, a truth value as a number.
    rows = [
        {"income": 25_000, "age": 33, "children": 1, "region": "south", "member": True},
        {"income": None, "age": 51.5, "children": 2.0, "region": None, "member": 0},
        {"income": 41_000.5, "age": 20, "children": 0, "region": "elsewhere", "member": False},
    ]
    found = plain_mlflow(registry, f"models:/{name}@champion", rows, tmp_path)
    assert list(found["answers"]) == list(CLASSES)
    import pandas as pd

    expected = trained.model.predict(pd.DataFrame(rows))
    for label in CLASSES:
        assert found["answers"][label] == expected[label].tolist()
    assert found["inputs"] == list(KINDS)
    assert found["example"] == 3
    assert found["requirements"] == list(pinned_requirements(trained.model))
    assert any(requirement.startswith("xgboost==") for requirement in found["requirements"])
    assert found["ours"] == []


def test_no_file_of_a_version_is_a_pickle_or_names_this_machine(
    registry: Registry, name: str, register: Register, trained: Trained
) -> None:
    folder = Path(registry.version(name, register(trained).version).source)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {"", ".py", ".json", ".yaml", ".txt", ".ubj"}
    for path in files:
        assert not path.read_bytes().startswith(b"\x80"), path
        if path.suffix in {"", ".json", ".yaml", ".txt"}:
            assert "/tmp/" not in path.read_text(), path  # noqa: S108  # the very thing that must not be there


def test_a_job_registers_once(registry: Registry, name: str, register: Register, trained: Trained) -> None:
    first = register(trained, "job_same")
    assert register(trained, "job_same") == first
    assert registry.find_by_job(name, "job_same") == first
    assert registry.find_by_job(name, "job_other") is None
    assert len(registry.model(name).versions) == 1


def test_versions_are_found_by_number_and_by_alias(
    registry: Registry, name: str, register: Register, trained: Trained
) -> None:
    for _ in range(3):
        register(trained)
    registry.promote(name, "1", reason="", by="a")
    registry.promote(name, "3", reason="", by="a")
    assert registry.resolve(name).version == "3"
    assert registry.resolve(name, alias="previous").version == "1"
    assert registry.resolve(name, version="2").aliases == []
    model = registry.model(name)
    assert model.aliases == {"champion": "3", "previous": "1"}
    assert [(version.version, version.aliases) for version in model.versions] == [
        ("3", ["champion"]), ("2", []), ("1", ["previous"]),
    ]  # fmt: skip


def test_promotion_and_rollback_are_remembered(
    registry: Registry, name: str, register: Register, trained: Trained
) -> None:
    register(trained)
    register(trained)
    registry.promote(name, "1", reason="the first", by="ann")
    registry.promote(name, "2", reason="better", by="bob")
    registry.rollback(name, reason="complaints", by="cleo")
    assert registry.model(name).aliases == {"champion": "1", "previous": "2"}
    history = registry.version(name, "1").history
    assert [(entry.action, entry.by, entry.reason, entry.replaced) for entry in history] == [
        ("promote", "ann", "the first", None), ("rollback", "cleo", "complaints", "2"),
    ]  # fmt: skip
    registry.rollback(name, reason="and forth", by="cleo")
    assert registry.resolve(name).version == "2"


def test_what_does_not_fit_the_state_is_a_conflict(
    registry: Registry, name: str, register: Register, trained: Trained
) -> None:
    register(trained)
    with pytest.raises(ConflictError, match="has no previous champion"):
        registry.rollback(name, reason="", by="a")
    registry.promote(name, "1", reason="", by="a")
    with pytest.raises(ConflictError, match=f"version 1 of {name} is the champion already"):
        registry.promote(name, "1", reason="", by="a")
    with pytest.raises(ConflictError, match="has no previous champion"):
        registry.rollback(name, reason="", by="a")


def test_what_is_not_there_names_what_is(registry: Registry, name: str, register: Register, trained: Trained) -> None:
    register(trained)
    with pytest.raises(NotFoundError, match=rf"no model named {name}x; nearest: people-"):
        registry.resolve(f"{name}x")
    with pytest.raises(NotFoundError, match="no model named"):
        registry.model(f"{name}x")
    with pytest.raises(NotFoundError, match="no model named"):
        registry.rollback(f"{name}x", reason="", by="a")
    with pytest.raises(NotFoundError, match=f"{name} has no version 7") as caught:
        registry.promote(name, "7", reason="", by="a")
    assert "newest version 1" in caught.value.hint
    with pytest.raises(NotFoundError, match=f"{name} has no version with the alias champion"):
        registry.resolve(name)
    registry.promote(name, "1", reason="", by="a")
    with pytest.raises(NotFoundError, match="alias champoin; nearest: champion"):
        registry.resolve(name, alias="champoin")


def test_altered_files_are_not_loaded(registry: Registry, name: str, register: Register, trained: Trained) -> None:
    info = registry.version(name, register(trained).version)
    booster = next(Path(info.source).rglob("*.ubj"))
    booster.write_bytes(booster.read_bytes()[:-1] + b"?")
    with pytest.raises(
        NotFoundError, match=f"models:/{name}/1 cannot be used: file 'booster.ubj' of the model was altered"
    ):
        registry.load(info)


def test_lists_go_page_by_page(fresh_registry: Registry, trained: Trained) -> None:
    for name in ("a", "b", "c"):
        for attempt in ("x", "y"):
            with fresh_registry.start_run(
                name, f"job_{name}{attempt}", parse_spec(TrainSpec, spec_of(name))
            ) as tracker:
                register_in(fresh_registry, tracker, trained)
    fresh_registry.promote("b", "1", reason="", by="a")
    page = fresh_registry.models(limit=2)
    assert [(model.name, [version.version for version in model.versions]) for model in page.items] == [
        ("a", ["2"]), ("b", ["2"]),
    ]  # fmt: skip
    assert page.items[1].aliases == {"champion": "1"}
    rest = fresh_registry.models(2, page.next_cursor)
    assert [model.name for model in rest.items] == ["c"]
    assert rest.next_cursor is None
    with pytest.raises(SpecError, match="cursor: not a cursor of this list"):
        fresh_registry.models(2, "nonsense")


def test_a_registry_travels_to_another_process(registry: Registry) -> None:
    assert pickle.loads(pickle.dumps(registry)) == registry  # noqa: S301  # our own bytes


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import TrainSpec, parse_spec, people, register_in, spec_of, train
from training.registry import Registry
registry = Registry(sys.argv[2], sys.argv[3])
trained = train(people(200))
with registry.start_run("shared", sys.argv[4], parse_spec(TrainSpec, spec_of("shared"))) as tracker:
    tracker.log_data(trained.data, trained.schema, trained.split)
    print("ready", flush=True)
    sys.stdin.readline()
    {before}
    print(register_in(registry, tracker, trained).version, flush=True)
"""


def worker(registry: Registry, job_id: str, before: str = "") -> subprocess.Popen[str]:
    code = textwrap.dedent(WORKER).replace("{before}", before)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(Path(__file__).parent), registry.tracking_uri, registry.artifact_uri, job_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_processes_that_register_at_once_make_two_versions(fresh_registry: Registry, trained: Trained) -> None:
    process = worker(fresh_registry, "job_there")
    with fresh_registry.start_run("shared", "job_here", parse_spec(TrainSpec, spec_of("shared"))) as tracker:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        here = register_in(fresh_registry, tracker, trained).version
    there = process.communicate(timeout=120)[0].strip()
    assert process.returncode == 0
    assert {here, there} == {"1", "2"}
    assert {version.job_id for version in fresh_registry.model("shared").versions} == {"job_here", "job_there"}


KILLED_BEFORE_THE_VERSION = (
    "import os, signal, mlflow; mlflow.MlflowClient.create_model_version = "
    "lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)"
)


def test_a_process_killed_while_it_registers_leaves_no_version_and_no_open_run(
    fresh_registry: Registry, trained: Trained
) -> None:
    process = worker(fresh_registry, "job_dead", KILLED_BEFORE_THE_VERSION)
    process.stdout.readline()
    process.communicate("go\n", timeout=120)
    assert process.returncode == -9
    with pytest.raises(NotFoundError):
        fresh_registry.model("shared")
    assert list(Path(fresh_registry.artifact_uri).rglob("MLmodel")), "the artifacts were uploaded before"

    spec = parse_spec(TrainSpec, spec_of("shared"))
    client = MlflowClient(fresh_registry.tracking_uri)
    with fresh_registry.start_run("shared", "job_other", spec) as other:
        experiment = client.get_run(other.run_id).info.experiment_id
    assert [run.info.status for run in client.search_runs([experiment], "tags.job_id = 'job_dead'")] == ["RUNNING"]
    with fresh_registry.start_run("shared", "job_dead", spec) as tracker:
        assert tracker.attempt == 2
        assert register_in(fresh_registry, tracker, trained).version == "1"
    runs = client.search_runs([experiment], "tags.job_id = 'job_dead'", order_by=["attributes.start_time ASC"])
    assert [run.info.status for run in runs] == ["KILLED", "FINISHED"]
    assert fresh_registry.close_stale_runs("shared", "job_dead") == 2


def test_a_store_that_is_away_is_worth_a_retry(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    away = Registry(f"sqlite:///{tmp_path}/file/mlflow.db", str(tmp_path))
    with pytest.raises(UnavailableError, match="opening the MLflow store"):
        away.health()
    nobody = Registry("http://127.0.0.1:9", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"the MLflow server http://127.0.0.1:9 does not answer"):
        nobody.health()


def test_a_server_that_is_away_is_worth_a_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = Registry("http://127.0.0.1:9", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"opening the MLflow store http://127\.0\.0\.1:9 failed") as caught:
        away.start_run("people", "job_1", parse_spec(TrainSpec, spec_of("people")))
    assert caught.value.retryable


def test_a_password_never_shows(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        Registry("http://me:secret@127.0.0.1:9", str(tmp_path)).health()
    assert "secret" not in str(caught.value)


def test_an_artifact_folder_that_cannot_be_written_is_worth_a_retry(
    fresh_registry: Registry, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    broken = Registry(fresh_registry.tracking_uri, str(tmp_path / "file"))
    with (
        pytest.raises(UnavailableError, match="storing the artifacts"),
        broken.start_run("broken", "job_1", parse_spec(TrainSpec, spec_of("broken"))) as tracker,
    ):
        register_in(broken, tracker, trained)
    with pytest.raises(NotFoundError):
        fresh_registry.model("broken")


def test_health_of_a_store_that_works(fresh_registry: Registry) -> None:
    assert fresh_registry.health() is None
