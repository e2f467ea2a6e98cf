from __future__ import annotations

from pathlib import Path

import pytest

from ray_app.settings import Settings, child_environment, masked

ALL = "0.0.0.0"  # noqa: S104 - a setting; nothing listens


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the developer gets in."""
    monkeypatch.chdir(tmp_path)


def test_a_machine_that_others_reach_needs_keys() -> None:
    with pytest.raises(ValueError, match="is reachable from other machines"):
        Settings(host=ALL)
    assert not Settings(host=ALL, api_keys_file=Path("keys.yaml")).loopback


def test_the_environment_and_the_dotenv_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MTS_PORT=8123\nMTS_DATA_ROOTS=data, s3://bucket/tables\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    settings = Settings()
    assert settings.port == 8123
    assert settings.roots == (str(tmp_path / "data"), "s3://bucket/tables")
    assert settings.tracking_uri == "sqlite:///elsewhere.db"


def test_postgresql_is_reached_by_the_driver_that_is_installed() -> None:
    settings = Settings(mlflow_tracking_uri="postgresql://u:p@db/mlflow", _env_file=None)
    assert settings.tracking_uri == "postgresql+psycopg://u:p@db/mlflow"
    assert Settings(mlflow_tracking_uri=settings.tracking_uri, _env_file=None).tracking_uri == settings.tracking_uri


def test_settings_survive_the_way_through_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(port=8123, database_url="postgresql://u:p@db/jobs", num_cpus=3, api_key="mine")
    given = settings.as_environment()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    there = Settings()
    assert there.as_environment() == given
    assert (there.port, there.store_url, there.num_cpus) == (8123, "postgresql://u:p@db/jobs", 3)
    assert there.api_key is None, "the caller's own key is not the service's business"


def test_what_is_shown_holds_no_secret() -> None:
    settings = Settings(
        database_url="postgresql://user:hidden@db/jobs?sslpassword=hidden",
        mlflow_tracking_uri="postgresql://user:hidden@db/mlflow", api_key="hidden", url="http://user:hidden@host",
    )  # fmt: skip
    shown = settings.shown()
    assert "hidden" not in " ".join(shown.values())
    assert shown["MTS_DATABASE_URL"] == "postgresql://user:***@db/jobs?…"
    assert shown["MTS_PORT"] == "8000"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("sqlite:////home/me/jobs.db", "sqlite:////home/me/jobs.db"),
        ("/home/me/artifacts", "/home/me/artifacts"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("postgresql://u:p:q@db:5432/x", "postgresql://u:***@db:5432/x"),
        ("https://token@host/x", "https://***@host/x"),
    ],
)
def test_a_url_keeps_its_place_and_loses_its_secret(url: str, seen: str) -> None:
    assert masked(url) == seen


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000"), ("localhost", "http://localhost:8000")],
)
def test_the_service_is_found_where_it_listens(host: str, url: str) -> None:
    assert Settings(host=host).service_url == url


def test_a_service_on_all_interfaces_is_called_on_this_machine() -> None:
    assert Settings(host=ALL, api_keys_file=Path("k")).service_url == "http://127.0.0.1:8000"
    assert Settings(url="https://mts.example/").service_url == "https://mts.example"


def test_a_child_gets_this_environment_with_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("REMOVED", "1")
    environment = child_environment({"REMOVED": None, "ADDED": "2"})
    assert environment["KEPT"] == "1"
    assert environment["ADDED"] == "2"
    assert "REMOVED" not in environment
