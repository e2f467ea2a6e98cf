from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_http import Answer, ScriptedServer, scripted_server
from typer.testing import CliRunner, Result

from ray_app.cli.application import app

Mts = Callable[..., Result]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedServer]:
    """A service that answers as the test says, found by its setting."""
    monkeypatch.chdir(tmp_path)
    with scripted_server() as scripted:
        monkeypatch.setenv("MTS_URL", scripted.url)
        yield scripted


@pytest.fixture
def mts() -> Mts:
    """The command, as a user calls it, with its output in a pipe."""
    return lambda *arguments, **options: CliRunner().invoke(app, list(arguments), prog_name="mts", **options)


def make_job(status: str = "SUCCEEDED", **fields: Any) -> dict[str, Any]:
    """A job as the service answers it."""
    return {
        "id": "j1", "kind": "train", "name": "german-credit", "status": status, "spec": {}, "attempt": 1,
        "created_at": "2026-11-23T12:00:00Z", "started_at": "2026-11-23T12:00:00Z",
    } | fields  # fmt: skip


RESULT: dict[str, Any] = {
    "model": {"name": "german-credit", "version": "3", "uri": "models:/german-credit/3"}, "run_id": "r",
    "task": "binary", "primary_metric": "roc_auc",
    "metrics": {"roc_auc": {"value": 0.7912, "low": 0.7285, "high": 0.8494}},
    "leaderboard": [], "gate": {"decision": "keep", "reasons": ["the gain is within chance"]},
    "data": {"rows": 1000, "columns": 21, "sha256": "s", "train_rows": 640, "validation_rows": 160, "test_rows": 200,
             "split": "stratified"},
    "timings": {"fit_s": 1.25},
}  # fmt: skip


def make_stream(*events: tuple[str, dict[str, Any]]) -> Answer:
    """Server-sent events, numbered from 1."""
    text = "".join(
        f"id: {seq}\nevent: {kind}\ndata: {json.dumps({'time': '2026-11-23T12:00:00Z', 'data': data})}\n\n"
        for seq, (kind, data) in enumerate(events, 1)
    )
    return Answer(200, text.encode(), "text/event-stream")
