from __future__ import annotations

from pathlib import Path

import pytest

from ray_app.local.environment import batch_environment, cluster_environment, mlflow_environment
from ray_app.local.parts import MlflowPage
from ray_app.local.processes import RUN_FOLDER_MARK
from ray_app.local.state import RunFolder, RunState
from ray_app.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", base=tmp_path, _env_file=None)


def test_a_process_in_another_folder_reads_the_same_settings(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cluster_environment(settings, RunFolder(settings)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    there = Settings(_env_file=None)
    assert there.home_path == settings.home_path
    assert there.base == tmp_path
    assert there.roots == settings.roots
    assert (there.store_url, there.tracking_uri, there.artifacts) == (
        settings.store_url, settings.tracking_uri, settings.artifacts,
    )  # fmt: skip


def test_the_cluster_asks_for_a_token_and_listens_on_this_machine_only(settings: Settings) -> None:
    environment = cluster_environment(settings, RunFolder(settings))
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert environment[RUN_FOLDER_MARK] == str(settings.home_path / "run")


def test_neither_a_job_nor_a_pickle_runs_code_in_mlflows_page(settings: Settings) -> None:
    environment = mlflow_environment(settings, RunFolder(settings))
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_another_cluster_in_the_users_shell_does_not_get_in(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("MTS_API_KEY", "of-the-user")
    environment = cluster_environment(settings, RunFolder(settings))
    assert "RAY_ADDRESS" not in environment


def test_a_password_in_the_stores_address_is_not_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, mlflow_tracking_uri="postgresql://user:secret@db/mlflow", _env_file=None)
    run = RunFolder(settings)
    commands = []
    monkeypatch.setattr("ray_app.local.processes.spawn", lambda command, **_: commands.append(command))
    MlflowPage(settings, run).launch()
    assert "secret" not in " ".join(commands[0])
    assert mlflow_environment(settings, run)["MLFLOW_BACKEND_STORE_URI"] == settings.tracking_uri


def test_a_shell_learns_how_to_reach_the_cluster(settings: Settings) -> None:
    state = RunState.model_construct(ray_address="127.0.0.1:6379", dashboard="http://127.0.0.1:8265")
    variables = batch_environment(state, settings)
    assert variables["RAY_API_SERVER_ADDRESS"] == "http://127.0.0.1:8265"
    assert variables["RAY_AUTH_MODE"] == "token"
    assert variables["MLFLOW_TRACKING_URI"] == settings.tracking_uri
