"""The connection to MLflow: made once per process, safe by default, quiet."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

import httpx
import mlflow.environment_variables as variables
import mlflow.store.db.utils as database
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.telemetry import set_telemetry_client
from mlflow.tracking._tracking_service.utils import _get_store

from training.errors import UnavailableError
from training.registry.errors import translated, without_secrets

SQLITE = "sqlite:///"
BUSY_TIMEOUT_S = 20.0
"""How long a writer waits for another one; MLflow uses the same."""
HEALTH_TIMEOUT_S = 3.0
HTTP_RETRIES, HTTP_TIMEOUT_S = 3, 30
"""For an MLflow server, where the operator sets no others. MLflow's own, 7 and 120, make a job wait for four minutes
before it learns that the server is away."""


@lru_cache(maxsize=8)
def connect(tracking_uri: str) -> MlflowClient:
    """The client of the store; a SQLite store is created, or brought to this MLflow's schema.

    Raises:
        UnavailableError: the store cannot be opened.
    """
    _apply_safe_defaults()
    if tracking_uri.startswith(SQLITE):
        _prepare_sqlite(tracking_uri)
    client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    try:
        with translated(f"opening the MLflow store {without_secrets(tracking_uri)}"):
            # Opens both of MLflow's stores, of runs and of models.
            _get_store(tracking_uri)
            client.search_registered_models(max_results=1)
    except UnavailableError:
        raise
    except Exception as error:  # noqa: BLE001  # drivers of any database raise errors of their own, with the password
        raise UnavailableError(
            f"the MLflow store {without_secrets(tracking_uri)} cannot be opened: {type(error).__name__}",
            hint="check MLFLOW_TRACKING_URI and that the database runs",
        ) from None
    return client


def check_health(tracking_uri: str) -> None:
    """Asks the store for something small.

    Raises:
        UnavailableError: it does not answer.
    """
    if tracking_uri.startswith(("http://", "https://")):
        try:
            httpx.get(f"{tracking_uri.rstrip('/')}/health", timeout=HEALTH_TIMEOUT_S).raise_for_status()
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the MLflow server {without_secrets(tracking_uri)} does not answer: {type(error).__name__}",
                hint="check MLFLOW_TRACKING_URI and that the server runs",
            ) from None
        return
    client = connect(tracking_uri)
    if tracking_uri.startswith(SQLITE) and not _sqlite_path(tracking_uri).is_file():
        raise UnavailableError(f"the MLflow store {tracking_uri} has been deleted", hint="restore it, or start anew")
    with translated("reading the MLflow store"):
        client.search_registered_models(max_results=1)


def experiment_of(client: MlflowClient, name: str, artifact_uri: str) -> str:
    """The id of the experiment in which the runs of a model are kept; made where there is none.

    Raises:
        UnavailableError: the store is away.
    """
    with translated(f"opening the experiment {name}"):
        found = client.get_experiment_by_name(name)
        if found is None:
            return _create_experiment(client, name, f"{artifact_uri.rstrip('/')}/{name}")
        if found.lifecycle_stage != "active":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def runs_of_job(client: MlflowClient, experiment_id: str, job_id: str) -> list[tuple[str, str]]:
    """Run id and status of each earlier attempt of a job."""
    found = client.search_runs(
        [experiment_id], f"tags.job_id = '{quoted(job_id)}'", run_view_type=ViewType.ACTIVE_ONLY, max_results=1000
    )
    return [(run.info.run_id, run.info.status) for run in found]


def quoted(value: str) -> str:
    """A value for MLflow's query language, which knows no escapes.

    Raises:
        ValueError: the value cannot be written in it.
    """
    if "'" in value or "\\" in value:
        raise ValueError(f"{value!r} holds a quote or a backslash")
    return value


def _create_experiment(client: MlflowClient, name: str, location: str) -> str:
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        faster = client.get_experiment_by_name(name)
        if faster is None:
            raise error from None
        return str(faster.experiment_id)


def _apply_safe_defaults() -> None:
    """MLflow phones home, unpickles models, draws progress bars and prints addresses unless told otherwise."""
    for switched_off in (
        variables.MLFLOW_ALLOW_PICKLE_DESERIALIZATION,
        variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
        variables.MLFLOW_UV_AUTO_DETECT,
    ):
        switched_off.set("false")
    variables.MLFLOW_DISABLE_TELEMETRY.set("true")
    variables.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set("true")
    for limit, value in (
        (variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES, HTTP_RETRIES),
        (variables.MLFLOW_HTTP_REQUEST_TIMEOUT, HTTP_TIMEOUT_S),
    ):
        if not limit.is_set():
            limit.set(value)
    # The client was made when mlflow was imported; asked again, it is not.
    set_telemetry_client()
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _prepare_sqlite(tracking_uri: str) -> None:
    """Creates the file in WAL mode, in which readers and a writer do not wait for one another, with MLflow's tables."""
    path = _sqlite_path(tracking_uri)
    with translated(f"opening the MLflow store {tracking_uri}"), _one_process(path):
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        engine = database.create_sqlalchemy_engine(tracking_uri)
        try:
            if not database._all_tables_exist(engine):
                database._initialize_tables(engine)
            elif database._get_schema_version(engine) != database._get_latest_schema_revision():
                database._upgrade_db(engine)
        finally:
            engine.dispose()


@contextmanager
def _one_process(path: Path) -> Iterator[None]:
    """Holds the other processes of this machine off while the tables are made; the lock dies with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sqlite_path(tracking_uri: str) -> Path:
    return Path(tracking_uri.removeprefix(SQLITE).split("?")[0])
