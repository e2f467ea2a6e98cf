"""Reads of a service that is being broken: repeated until they are answered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa
from whole_service import WholeService

from chaos.stream import may_pass
from ray_app.local.auth import token_path
from ray_app.local.logs import tail
from ray_app.local.state import RunFolder
from ray_app.settings import Settings

LIMIT_S = 600.0
PAUSE_S = 0.3


class NeverAnsweredError(AssertionError):
    """The service did not come back."""


@dataclass(frozen=True)
class Reader:
    """What a user and an operator can see."""

    whole: WholeService

    def ready(self) -> float:
        """Seconds until the service could take work again."""
        started = time.monotonic()
        self.get("/readyz")
        return time.monotonic() - started

    def get(self, path: str, **parameters: Any) -> Any:
        """A JSON answer."""
        return self._answered(path, parameters).json()

    def pages(self, path: str) -> Iterator[Any]:
        """All items of a list."""
        cursor = None
        while True:
            page = self.get(path, limit=200, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Events of a job that is over: seq, type and their data."""
        text = self._answered(f"/api/v1/jobs/{job_id}/events", {}).text
        found = []
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":")
            if "data" in fields:
                data = json.loads(fields["data"])
                found.append(data["data"] | {"seq": int(fields["id"]), "type": fields["event"]})
        return found

    def released(self) -> int:
        """Jobs that the dispatcher has handed to Ray and not heard the end of."""
        text = self._answered("/metrics", {}).text
        return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("mts_jobs_released "))

    def busy(self) -> list[str]:
        """Titles of processes that are doing a job."""
        return [
            " ".join(process.cmdline()).strip()
            for title in ("ray::train:", "ray::evaluate:")
            for process in self.whole.processes(title)
        ]

    def folder_of(self, run_id: str) -> Path:
        """Where a run's model is."""
        [[uri]] = self.registry("SELECT artifact_uri FROM runs WHERE run_uuid = :run", run=run_id)
        return Path(urlsplit(uri).path) / "model"

    def registry(self, query: str, **values: str) -> list[Any]:
        """Rows of MLflow's database."""
        engine = sa.create_engine(self.whole.tracking_uri, poolclass=sa.NullPool)
        with engine.connect() as connection:
            return list(connection.execute(sa.text(query), values))

    def reserved(self) -> list[str]:
        """Placement groups of jobs that Ray still holds room for; nothing where its dashboard does not answer yet."""
        state = RunFolder(self._settings).live()
        path = token_path(self.whole.environment)
        if state is None or path is None:
            return []
        headers = {"Authorization": f"Bearer {path.read_text().strip()}"}
        try:
            answer = httpx.get(f"{state.dashboard}/api/v0/placement_groups?detail=true", headers=headers, timeout=30)
        except httpx.TransportError:
            return []
        if answer.status_code != httpx.codes.OK:
            return []
        groups = answer.json()["data"]["result"]["result"]
        return [group["name"] for group in groups if group["state"] != "REMOVED" and group["name"].startswith("train:")]

    @property
    def _settings(self) -> Settings:
        return Settings(home=self.whole.home, _env_file=None)

    def temporary(self) -> list[Path]:
        """Temporary folders of jobs that are not there any more."""
        folder = RunFolder(self._settings).ray_folder / "tmp"
        return [path for path in folder.glob("mts-*") if not path.name.startswith("mts-warm-")]

    def _answered(self, path: str, parameters: dict[str, Any]) -> httpx.Response:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            try:
                answer = self.whole.http.get(path, params=parameters)
            except httpx.TransportError as error:
                last = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code == 200:
                    return answer
                last = f"{answer.status_code} {answer.text[:300]}"
                if not may_pass(answer):
                    break
            time.sleep(PAUSE_S)
        log = "\n".join(tail(self.whole.home / "logs" / "supervisor.log", 40))
        raise NeverAnsweredError(f"GET {path}: {last}\n{log}")
