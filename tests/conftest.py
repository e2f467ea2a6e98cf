"""Databases for the tests: a SQLite file each, one real PostgreSQL server for the session; and who needs a browser."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from browser import find_browser
from postgres_server import running_postgres

from ray_app.jobs.store import JobStore

# a busy machine is no bug: no example fails for its time
hypothesis.settings.register_profile("mts", deadline=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=5000)
hypothesis.settings.load_profile("mts")

NewDatabase = Callable[[], str]


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[NewDatabase]:
    """Makes an empty database on a server of the session's own and answers its URL."""
    numbers = itertools.count(1)
    # no test cuts the power, and a shared disk takes long to sync
    with running_postgres(safe=False) as server:
        yield lambda: server.create(f"test_{next(numbers)}")


@pytest.fixture(scope="session")
def shared_postgres(new_postgres: NewDatabase) -> str:
    """URL of a database whose tables are there; emptying them is faster than migrating."""
    url = new_postgres()
    JobStore(url).close()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file whose tables are there."""
    path = tmp_path_factory.mktemp("template") / "jobs.db"
    JobStore(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A job store of its own for the test, on SQLite."""
    shutil.copy(sqlite_template, tmp_path / "jobs.db")
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def postgres_url(shared_postgres: str) -> str:
    """An empty job store for the test, on PostgreSQL."""
    with psycopg.connect(shared_postgres) as connection:
        connection.execute("TRUNCATE jobs, webhook_deliveries, monitors CASCADE")
    return shared_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A job store of its own for the test, on each database in turn."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'jobs.db'}"
    new_postgres: NewDatabase = request.getfixturevalue("new_postgres")
    return new_postgres()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what drives a browser where the machine has none; pyproject.toml says what is tested without."""
    if find_browser() is not None:
        return
    driven = [item for item in items if item.get_closest_marker("browser")]
    items[:] = [item for item in items if item not in driven]
    if driven:
        config.hook.pytest_deselected(items=driven)


def pytest_report_header() -> str:
    """Says which browser the tests drive."""
    return f"browser: {find_browser() or 'none, apt-get install chromium; tests marked browser are left out'}"
