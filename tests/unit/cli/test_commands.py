from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scripted_http import Answer, ScriptedServer, as_json, problem

from ray_app.cli import jobs, machine, models
from ray_app.client import MtsClient
from tests.unit.cli.conftest import RESULT, Mts, make_job, make_stream

COMMANDS = {**machine.COMMANDS, **jobs.COMMANDS, **models.COMMANDS}
SPEC = "name: german-credit\ndata: {source: {type: file, uri: a.csv}, target: y}\n"
FAILURE = {
    "type": "DataError", "message": "a.csv has no rows", "hint": "add some",
    "errors": [{"field": "data.source.uri", "value": "a.csv", "message": "has no rows"}],
}  # fmt: skip


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return str(path)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(mts: Mts, name: str) -> None:
    result = mts(name, "--help")
    assert result.exit_code == 0
    words = " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.stdout).split())
    assert f"Example: mts {name}" in words or f'Example: eval "$(mts {name})"' in words
    assert "--json" in words


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'ray', 'httpx', 'pydantic_settings', 'mlflow', 'pandas', 'numpy', 'yaml'}"
    code = f"import sys, ray_app.cli; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("arguments", [["no-such-command"], ["train"], ["jobs", "--limit", "many"], ["jobs", "--no"]])
def test_wrong_usage_exits_2(mts: Mts, arguments: list[str]) -> None:
    assert mts(*arguments).exit_code == 2


def test_a_job_is_submitted_and_the_way_to_follow_it_told(mts: Mts, server: ScriptedServer, spec: str) -> None:
    server.on("POST /train", as_json(make_job("PENDING"), 202))
    server.on("GET /jobs/j1", as_json(make_job("PENDING")))
    result = mts("train", spec)
    assert result.exit_code == 0
    assert result.stdout == "j1 is submitted (PENDING); follow it: mts job j1 --follow\n"
    assert json.loads(server.requests[0].body)["name"] == "german-credit"


def test_a_followed_job_shows_its_phases_and_its_result(mts: Mts, server: ScriptedServer, spec: str) -> None:
    server.on("POST /train", as_json(make_job("PENDING"), 202))
    events = make_stream(
        ("state", {"status": "PENDING", "reason": "waits for 2 CPUs"}),
        ("state", {"status": "RUNNING", "attempt": 2}),
        ("phase", {"phase": "fit"}),
        ("progress", {"phase": "fit", "fraction": 0.5, "eta_s": 2.0}),
        ("metrics", {"step": 10, "metrics": {"validation/log_loss": 0.5}}),
        ("state", {"status": "SUCCEEDED", "attempt": 2}),
    )
    server.on("GET /jobs/j1/events", events)
    server.on("GET /jobs/j1", as_json(make_job(result=RESULT, links={"mlflow": "http://127.0.0.1:5000/#/run"})))
    result = mts("train", spec, "--follow")
    assert result.exit_code == 0, result.output
    assert "PENDING: waits for 2 CPUs" in result.stderr
    assert "RUNNING, attempt 2" in result.stderr
    assert "phase fit" in result.stderr
    for words in ("0.7912  [0.7285, 0.8494]", "keep: the gain is within chance", "models:/german-credit/3"):
        assert words in result.stdout
    assert f"job: {server.url}/api/v1/jobs/j1" in result.stdout
    assert "mlflow: http://127.0.0.1:5000/#/run" in result.stdout


def test_followed_with_json_every_line_is_json_and_the_last_is_the_job(
    mts: Mts, server: ScriptedServer, spec: str
) -> None:
    server.on("POST /train", as_json(make_job("PENDING"), 202))
    server.on("GET /jobs/j1/events", make_stream(("phase", {"phase": "fit"}), ("state", {"status": "SUCCEEDED"})))
    server.on("GET /jobs/j1", as_json(make_job(result=RESULT)))
    lines = [json.loads(line) for line in mts("train", spec, "--follow", "--json").stdout.splitlines()]
    assert [line.get("type") for line in lines] == ["phase", "state", None]
    assert lines[-1]["status"] == "SUCCEEDED"


@pytest.mark.parametrize("how", ["--follow", "--wait"])
def test_a_job_that_fails_exits_1_with_field_value_and_remedy(
    mts: Mts, server: ScriptedServer, spec: str, how: str
) -> None:
    server.on("POST /train", as_json(make_job("PENDING"), 202))
    server.on("GET /jobs/j1/events", make_stream(("state", {"status": "FAILED"})))
    server.on("GET /jobs/j1", as_json(make_job("FAILED", error=FAILURE)))
    result = mts("train", spec, how)
    assert result.exit_code == 1
    assert "DataError: a.csv has no rows" in result.stderr
    assert "data.source.uri: has no rows (got 'a.csv')" in result.stderr
    assert "remedy: add some" in result.stderr
    assert "Traceback" not in result.output


def test_a_cancelled_job_exits_1(mts: Mts, server: ScriptedServer) -> None:
    server.on("GET /jobs/j1/events", make_stream(("state", {"status": "CANCELLED"})))
    server.on("GET /jobs/j1", as_json(make_job("CANCELLED")))
    result = mts("job", "j1", "--follow")
    assert result.exit_code == 1
    assert "j1 is CANCELLED" in result.stderr


def test_ctrl_c_leaves_the_job_running_and_says_how_to_follow_it_again(
    mts: Mts, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(MtsClient, "events", interrupted)
    result = mts("job", "j1", "--follow")
    assert result.exit_code == 1
    assert "the job goes on; follow it again: mts job j1 --follow" in result.stderr
    assert server.requests == [], "nothing was cancelled"


def test_what_the_service_refuses_is_shown_by_field(mts: Mts, server: ScriptedServer, spec: str) -> None:
    fields = [{"field": "data.target", "value": "yy", "message": "no such column; nearest: y"}]
    server.on("POST /train", problem(422, title="The spec cannot work", detail="data.target: no such column",
                                     errors=fields, hint="see the columns"))  # fmt: skip
    result = mts("train", spec)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "The spec cannot work: data.target: no such column",
        "  data.target: no such column; nearest: y (got 'yy')",
        "  remedy: see the columns",
    ]


def test_a_service_that_is_away_names_the_remedy(mts: Mts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray_app.client.transport.ATTEMPTS", 1)
    result = mts("jobs", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "http://127.0.0.1:1 does not answer" in result.stderr
    assert "mts up" in result.stderr


def test_a_setting_that_cannot_work_is_named(mts: Mts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTS_PORT", "many")
    result = mts("jobs")
    assert result.exit_code == 1
    assert "MTS_PORT" in result.stderr
    assert "(got 'many')" in result.stderr


def test_jobs_are_listed_in_plain_lines_where_the_output_is_a_pipe(mts: Mts, server: ScriptedServer) -> None:
    server.on("GET /jobs", as_json({"items": [make_job(), make_job("RUNNING", id="j2")], "next_cursor": None}))
    header, first, second = mts("jobs", "--status", "running").stdout.splitlines()
    assert header.split() == ["ID", "STATUS", "KIND", "NAME", "PHASE", "CREATED", "TOOK"]
    assert first.split()[:4] == ["j1", "SUCCEEDED", "train", "german-credit"]
    assert second.split()[:5] == ["j2", "RUNNING", "train", "german-credit", "queued"]
    assert "status=RUNNING" in server.requests[0].path
    assert json.loads(mts("jobs", "--json").stdout)[0]["id"] == "j1"


def test_a_list_without_entries_says_so_beside_the_output(mts: Mts, server: ScriptedServer) -> None:
    server.on("GET /jobs", as_json({"items": [], "next_cursor": None}))
    result = mts("jobs")
    assert (result.stdout, result.stderr) == ("", "no jobs\n")


def test_a_job_is_shown_with_what_it_waits_for(mts: Mts, server: ScriptedServer) -> None:
    progress = {"phase": "queued", "fraction": 0.0, "message": "asks for 2 CPUs, 1 is free"}
    server.on("GET /jobs/j1", as_json(make_job("PENDING", progress=progress, tags={"team": "risk"})))
    result = mts("job", "j1")
    assert "waits for  asks for 2 CPUs, 1 is free" in result.stdout
    assert "team=risk" in result.stdout


def test_cancel_retry_and_logs(mts: Mts, server: ScriptedServer) -> None:
    server.on("POST /jobs/j1/cancel", as_json(make_job("RUNNING"), 202))
    server.on("POST /jobs/j1/retry", as_json(make_job("PENDING", id="j2"), 202))
    server.on("GET /jobs/j2", as_json(make_job("PENDING", id="j2")))
    server.on("GET /jobs/j1/logs", Answer(200, b"INFO one\n", "text/plain"))
    assert mts("cancel", "j1").stdout.startswith("j1 is asked to stop")
    assert mts("retry", "j1").stdout.startswith("j2 is submitted (PENDING)")
    assert mts("logs", "j1").stdout == "INFO one\n"
    assert json.loads(mts("logs", "j1", "--json").stdout) == {"job": "j1", "log": "INFO one\n"}


def test_models_are_listed_and_changed(mts: Mts, server: ScriptedServer) -> None:
    version = {"version": "3", "aliases": ["champion"], "job_id": "j1", "metrics": {"roc_auc": {"value": 0.79}}}
    model = {"name": "german-credit", "aliases": {"champion": "3", "previous": "2"}, "versions": [version]}
    server.on("GET /models", as_json({"items": [model], "next_cursor": None}))
    server.on("GET /models/german-credit", as_json(model))
    server.on("POST /models/german-credit/versions/3/promote", as_json(model))
    server.on("POST /models/german-credit/rollback", as_json(model))
    for arguments in (["models"], ["models", "german-credit"]):
        assert mts(*arguments).stdout.splitlines()[1].split() == [
            "german-credit", "3", "champion", "roc_auc", "0.7900", "j1",
        ]  # fmt: skip
    said = "german-credit: champion is 3, previous is 2\n"
    assert mts("promote", "german-credit", "3", "--reason", "better").stdout == said
    assert mts("rollback", "german-credit").stdout == said
    assert json.loads(mts("models", "german-credit", "--json").stdout)["name"] == "german-credit"


def test_an_evaluation_prints_the_report_also_when_it_takes_long(mts: Mts, server: ScriptedServer) -> None:
    report = {
        "model": RESULT["model"], "task": "binary", "primary_metric": "roc_auc", "rows": 50,
        "metrics": {"roc_auc": {"value": 0.7, "low": 0.6, "high": 0.8}}, "warnings": ["12 rows were fitted on"],
        "slices": [{"column": "k", "value": "b", "rows": 20, "metrics": {"roc_auc": {"value": 0.5}}}],
    }  # fmt: skip
    server.on("POST /evaluate", as_json(make_job("RUNNING", kind="evaluate"), 202), as_json(report))
    server.on("GET /jobs/j1", as_json(make_job(kind="evaluate", result=report)))
    for version in ("3", "previous"):
        result = mts("evaluate", "german-credit", "a.csv", "--slice", "k", "--version", version)
        assert result.exit_code == 0, result.output
        assert "german-credit version 3 on 50 rows" in result.stdout
        assert "0.7000  [0.6000, 0.8000]" in result.stdout
        assert "k=b (20 rows): roc_auc 0.5000" in result.stdout
        assert "12 rows were fitted on" in result.stderr
    asked = [json.loads(request.body)["model"] for request in server.requests if request.body]
    assert asked == [{"name": "german-credit", "version": "3"}, {"name": "german-credit", "alias": "previous"}]


def test_a_plan_is_shown_in_words_or_whole_as_json(mts: Mts, server: ScriptedServer, spec: str) -> None:
    plan = {
        "spec": {"name": "german-credit"}, "task": "binary", "classes": ["good", "bad"], "primary_metric": "roc_auc",
        "data": RESULT["data"], "model": {"family": "xgboost", "params": {}}, "engine": "local",
        "resources": {"num_workers": 1, "cpus_per_worker": 2},
        "columns": [{"name": "id", "kind": "identifier", "role": "ignored", "reason": "each row has its own"}],
        "warnings": ["12 rows are alike"],
    }  # fmt: skip
    server.on("POST /train", as_json(plan))
    result = mts("train", spec, "--dry-run")
    assert "640 train, 160 validation, 200 test" in result.stdout
    assert "ignored: id (identifier, each row has its own)" in result.stdout
    assert "12 rows are alike" in result.stderr
    assert json.loads(mts("train", spec, "--dry-run", "--json").stdout) == plan
