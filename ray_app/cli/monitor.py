"""Commands about models in use: mts monitor create, send, report, alarms, list, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ray_app.cli.options import AsJson, Url

app = typer.Typer(
    no_args_is_help=True, help="Watches models in use: predictions and outcomes in, reports and alarms out."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Monitor.")]
BODY_TYPES = {
    ".parquet": "application/vnd.apache.parquet", ".arrow": "application/vnd.apache.arrow.stream",
    ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson", ".json": "application/json",
}  # fmt: skip


@app.command()
def create(
    name: Name,
    model: Annotated[str | None, typer.Option(help="Registered model. Default: the monitor's name.")] = None,
    *,
    window_rows: Annotated[int | None, typer.Option(help="Windows of so many rows. Default: by day.")] = None,
    spec: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="YAML with the whole monitor.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also where another monitor has the name.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Makes a monitor of a model's champion.

    Example: mts monitor create german-credit --window-rows 500
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line
    from ray_app.cli.spec_file import read_spec

    raw: dict[str, Any] = read_spec(spec) if spec else {}
    raw = {"model": {"name": model or name}, **raw, "name": name}
    if window_rows is not None:
        raw["window"] = {"rows": window_rows}
    with connect(url) as client:
        found = client.monitors.create(raw, replace=replace)
    if as_json:
        print_json(found)
    else:
        print_line(f"{found.name} watches {found.spec['model']['name']}; next: mts monitor send {found.name} FILE")


@app.command()
def send(
    name: Name,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Parquet, Arrow stream or JSON lines.")],
    *,
    outcomes: Annotated[bool, typer.Option("--outcomes", help="The file holds outcomes (id, actual).")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Sends a file of predictions (id, time, score and the features), or of outcomes.

    Example: mts monitor send german-credit predictions.parquet
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line

    kind = BODY_TYPES.get(file.suffix)
    if kind is None:
        raise typer.BadParameter(f"{file.name}: the name ends in none of {', '.join(BODY_TYPES)}")
    with connect(url) as client:
        receipt = client.monitors.send_body(name, "outcomes" if outcomes else "predictions", file.read_bytes(), kind)
    if as_json:
        print_json(receipt)
    else:
        again = ", all of them there before" if receipt.repeated else ""
        print_line(f"{receipt.accepted:,} rows kept{again}")


@app.command()
def report(
    name: Name,
    *,
    html: Annotated[Path | None, typer.Option(help="Writes the page here.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Shows every window against the reference.

    Example: mts monitor report german-credit --html report.html
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line, print_table, shown_number, shown_time

    with connect(url) as client:
        found = client.monitors.report(name)
        if html is not None:
            html.write_text(client.monitors.page(name), encoding="utf-8")
            print_line(f"wrote {html}")
    if as_json:
        print_json(found)
        return

    def first(rows: list[Any]) -> str:
        return f"{rows[0].metric} {shown_number(rows[0].value)}" if rows else ""

    rows = (
        (shown_time(window.start), window.rows, window.labelled, window.state, first(window.estimated),
         first(window.realised), ", ".join(dict.fromkeys(finding.subject for finding in window.findings)))
        for window in found.windows
    )  # fmt: skip
    print_table(("START", "ROWS", "OUTCOMES", "STATE", "ESTIMATED", "REALISED", "ALARMS"), rows, empty="no window yet")
    for note in found.notes:
        print_line(note)


@app.command()
def alarms(name: Name, *, url: Url = None, as_json: AsJson = False) -> None:
    """Lists alarms, newest first, and what was done about them.

    Example: mts monitor alarms german-credit
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_table, shown_time

    with connect(url) as client:
        page = client.monitors.alarms(name)
    if as_json:
        print_json(page)
        return
    rows = ((shown_time(alarm.window_start), alarm.severity, alarm.kind, alarm.message) for alarm in page.items)
    print_table(("WINDOW", "SEVERITY", "KIND", "ALARM"), rows, empty="no alarms")
    if page.actions:
        done = (
            (shown_time(action.created_at), action.action, action.state, action.reason, action.job_id,
             action.train_job_id or action.pool_id)
            for action in page.actions
        )  # fmt: skip
        print_table(("AT", "ACTION", "STATE", "REASON", "JOB", "LED TO"), done)


@app.command("list")
def list_monitors(*, url: Url = None, as_json: AsJson = False) -> None:
    """Lists the monitors.

    Example: mts monitor list
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_items, shown_time

    with connect(url) as client:
        found = list(client.monitors.list())
    print_items(
        found,
        ("NAME", "MODEL", "NEXT REPORT"),
        lambda monitor: (monitor.name, monitor.spec["model"]["name"], shown_time(monitor.next_report_at)),
        empty="no monitors",
        as_json=as_json,
    )


@app.command()
def delete(name: Name, *, url: Url = None) -> None:
    """Forgets a monitor and deletes its stream.

    Example: mts monitor delete german-credit
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_line

    with connect(url) as client:
        client.monitors.delete(name)
    print_line(f"{name} is gone")
