"""The application over a real store, a real registry on SQLite and real files, called in process over ASGI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from ray_app.api.app import create_app
from ray_app.jobs.store import JobStore
from ray_app.services.assembly import assemble
from ray_app.services.webhooks import WebhookList
from ray_app.settings import Settings
from tests.unit.api.store_jobs import StoreJobs, StoreMonitors

ROWS = [{"x": float(index % 17), "k": "abc"[index % 3], "y": "yes" if index % 2 else "no"} for index in range(80)]


@dataclass(frozen=True)
class Api:
    """A client of one application; each call answers a whole response."""

    app: FastAPI
    jobs: StoreJobs
    data: Path
    portal: BlockingPortal
    settings: Settings

    @property
    def store(self) -> JobStore:
        return self.jobs.store

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.portal.call(lambda: self._send(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self("POST", path, **options)

    def in_background(self, method: str, path: str, **options: Any) -> Callable[[], httpx.Response]:
        """Sends now; the answer's `()` waits for the response."""
        return self.portal.start_task_soon(lambda: self._send(method, path, **options)).result

    async def _send(self, method: str, path: str, *, host: str = "localhost:8000", **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, **options)


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as found:
        yield found


@pytest.fixture(scope="session")
def registry_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One MLflow store for the session, because making its tables takes seconds; a test uses model names of its own."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def make_api(
    tmp_path: Path, sqlite_url: str, registry_folder: Path, portal: BlockingPortal
) -> Iterator[Callable[..., Api]]:
    """Makes an application; keyword arguments are settings."""
    data = tmp_path / "data"
    data.mkdir()
    made: list[Api] = []

    def make(**settings: Any) -> Api:
        chosen = Settings(
            _env_file=None,
            home=tmp_path / "home",
            base=tmp_path,
            data_roots=(str(data),),
            mlflow_tracking_uri=f"sqlite:///{registry_folder / 'mlflow.db'}",
            artifact_uri=str(registry_folder / "artifacts"),
            **settings,
        )
        jobs = StoreJobs(sqlite_url)
        jobs.webhooks = WebhookList(chosen.webhooks_file)
        app = create_app(assemble(jobs, chosen, pools=jobs.pools, monitors=StoreMonitors(jobs)), chosen)
        made.append(Api(app, jobs, data, portal, chosen))
        return made[-1]

    yield make
    for api in made:
        api.app.state.services.close()
        api.store.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


@pytest.fixture
def spec() -> dict[str, Any]:
    """A spec that works."""
    return {
        "name": "toy",
        "data": {"source": {"type": "inline", "rows": ROWS}, "target": "y"},
        "model": {"family": "sklearn", "estimator": "logistic_regression"},
    }
