"""`mts monitor` and the Python client as a user calls them, over real HTTP, against the application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from api_cases import served
from typer.testing import CliRunner, Result

from ray_app.cli.application import app
from ray_app.client import MtsApiError, MtsClient
from tests.unit.api.test_monitors import START, Service, model_name, people, service

__all__ = ["model_name", "service"]

Mts = Callable[..., Result]


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with served(service.api.app) as found:
        yield found


@pytest.fixture
def mts(url: str, monkeypatch: pytest.MonkeyPatch) -> Mts:
    """The command with its output in a pipe."""
    monkeypatch.setenv("MTS_URL", url)
    return lambda *arguments: CliRunner().invoke(app, ["monitor", *arguments], prog_name="mts")


@pytest.fixture
def client(url: str) -> Iterator[MtsClient]:
    with MtsClient(url) as found:
        yield found


def rows_of(service: Service, rows: int, shift: float = 0.0) -> pd.DataFrame:
    """Predictions with their outcomes as `y`."""
    frame = pd.DataFrame(people(rows, 5, shift))
    return frame.assign(
        id=[f"row-{number}" for number in range(rows)],
        time=[START + timedelta(minutes=number) for number in range(rows)],
        score=service.scorer.scores(frame)[:, 1],
    )


def test_a_monitor_from_its_making_to_its_end_in_the_terminal(mts: Mts, service: Service, tmp_path: Path) -> None:
    spec = tmp_path / "monitor.yaml"
    spec.write_text("window: {rows: 250}\npolicy: {actions: [label], min_severity: warning}\n")
    made = mts("create", service.name, "--model", "watched", "--spec", str(spec))
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith(f"{service.name} watches watched; next: mts monitor send {service.name}")
    predictions, outcomes = tmp_path / "sent.parquet", tmp_path / "outcomes.jsonl"
    rows = rows_of(service, 500, shift=1.5)
    rows.drop(columns="y").to_parquet(predictions)
    lines = rows.head(100)[["id", "y"]].rename(columns={"y": "actual"}).to_dict("records")
    outcomes.write_text("\n".join(json.dumps(line) for line in lines))

    assert mts("send", service.name, str(predictions)).stdout == "500 rows kept\n"
    assert mts("send", service.name, str(predictions)).stdout == "500 rows kept, all of them there before\n"
    assert mts("send", service.name, str(outcomes), "--outcomes").stdout == "100 rows kept\n"
    page = tmp_path / "page.html"
    shown = mts("report", service.name, "--html", str(page))
    assert shown.stdout.splitlines()[0] == f"wrote {page}"
    assert "<svg" in page.read_text()
    first = shown.stdout.splitlines()[2].split()
    assert first[2:5] == ["250", "100", "judged"]
    assert "income" in shown.stdout
    assert "can't see concept drift" in shown.stdout
    told = mts("alarms", service.name).stdout
    assert "income has drifted" in told
    assert "pool_" in told
    assert "label" in told
    assert service.name in mts("list").stdout
    assert mts("delete", service.name).stdout == f"{service.name} is gone\n"
    gone = mts("report", service.name)
    assert gone.exit_code == 1
    assert f"no monitor {service.name}" in gone.stderr


def test_every_command_has_json_for_machines(mts: Mts, service: Service, tmp_path: Path) -> None:
    created = json.loads(mts("create", service.name, "--model", "watched", "--window-rows", "100", "--json").stdout)
    assert created["spec"]["window"]["rows"] == 100
    file = tmp_path / "sent.jsonl"
    rows = rows_of(service, 100).drop(columns="y")
    rows.to_json(file, orient="records", lines=True, date_format="iso")
    sent = json.loads(mts("send", service.name, str(file), "--json").stdout)
    assert (sent["accepted"], sent["repeated"]) == (100, False)
    assert json.loads(mts("report", service.name, "--json").stdout)["windows"][0]["rows"] == 100
    assert json.loads(mts("alarms", service.name, "--json").stdout)["items"] == []
    assert [item["name"] for item in json.loads(mts("list", "--json").stdout)] == [service.name]


def test_wrong_use_is_told_without_a_traceback(mts: Mts, service: Service, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("id\n1\n")
    for arguments, exit_code, told in (
        (["send", service.name, str(table)], 2, "the name ends in none of"),
        (["create", service.name, "--model", "watcht"], 1, "watched"),
        (["create", service.name, "--model", "watched", "--window-rows", "7"], 1, "window.rows"),
        (["alarms", "nobody"], 1, "no monitor nobody"),
        (["report"], 2, "NAME"),
    ):
        result = mts(*arguments)
        assert result.exit_code == exit_code, result.output
        assert told in result.stderr
        assert "Traceback" not in result.output
    assert all("Example: mts monitor" in mts(name, "--help").stdout
               for name in ("create", "send", "report", "alarms", "list", "delete"))  # fmt: skip


def test_the_client_does_all_of_it(client: MtsClient, service: Service) -> None:
    monitors = client.monitors
    spec: dict[str, Any] = {"name": service.name, "model": {"name": "watched"}, "window": {"rows": 250}}
    assert monitors.create(spec).name == service.name
    with pytest.raises(MtsApiError) as conflict:
        monitors.create(spec | {"false_alarm_rate": 0.05})
    assert conflict.value.status == 409
    assert monitors.create(spec | {"false_alarm_rate": 0.05}, replace=True).spec["false_alarm_rate"] == 0.05
    rows = rows_of(service, 500)
    receipt = monitors.send_table(service.name, "predictions", rows.drop(columns="y").head(250))
    assert (receipt.accepted, receipt.ignored) == (250, [])
    later = [
        {"id": row["id"], "time": row["time"], "score": row["score"],
         "features": {"income": row["income"], "color": row["color"]}}
        for row in rows.tail(250).to_dict("records")
    ]  # fmt: skip
    assert monitors.predictions(service.name, later) == 250
    known = ({"id": row["id"], "actual": row["y"]} for row in rows.to_dict("records"))
    assert monitors.outcomes(service.name, known) == 500
    report = monitors.report(service.name)
    assert [(window.rows, window.labelled) for window in report.windows] == [(250, 250), (250, 250)]
    assert report.windows[0].realised[0].metric == "roc_auc"
    assert monitors.page(service.name).startswith("<!doctype html>")
    assert monitors.alarms(service.name).items == []
    assert [found.name for found in monitors.list()] == [service.name]
    assert monitors.get(service.name).spec["window"] == {"duration_s": None, "rows": 250}
    with pytest.raises(MtsApiError) as wrong:
        monitors.predictions(service.name, [{"id": "x", "time": "2026-01-01T00:00:00Z", "score": 2, "features": {}}])
    assert wrong.value.errors[0].field == "features.income"
    monitors.delete(service.name)
    with pytest.raises(MtsApiError) as gone:
        monitors.get(service.name)
    assert gone.value.status == 404
