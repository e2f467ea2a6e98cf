"""Commands about models: evaluate, models, promote, rollback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ray_app.cli.options import AsJson, ModelName, Reason, Url


def evaluate(
    name: ModelName,
    data: Annotated[str, typer.Argument(metavar="DATA", help="CSV, Parquet or JSON lines: a path or URI.")],
    *,
    version: Annotated[str | None, typer.Option(help="Version or alias. Default: the champion.")] = None,
    alias: Annotated[str | None, typer.Option(help="Instead of a version.")] = None,
    slices: Annotated[list[str] | None, typer.Option("--slice", help="Also for each value of this column.")] = None,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="Instead of the model's own.")] = None,
    bootstrap_samples: Annotated[int, typer.Option(min=0, help="0 gives no intervals.")] = 1000,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Measures a registered model against data and waits for the report.

    Example: mts evaluate german-credit examples/data/german_credit.csv --slice housing
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.follow import conclude, show_report
    from ray_app.cli.output import print_json
    from ray_app.jobs.model import Job

    asked = alias or version or "champion"
    spec = {
        "model": {"name": name, "version" if asked.isdecimal() else "alias": asked},
        "data": {"source": {"type": "file", "uri": data}},
        "slices": slices or [],
        "bootstrap_samples": bootstrap_samples,
        "threshold": threshold,
    }
    with connect(url) as client:
        answer = client.evaluate(spec)
        if isinstance(answer, Job):
            if not conclude(client.wait(answer.id), client.url, as_json=as_json):
                raise typer.Exit(1)
        elif as_json:
            print_json(answer)
        else:
            show_report(answer)


def models(
    name: Annotated[str | None, typer.Argument(help="One model with all its versions.")] = None,
    *,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Lists registered models, or the versions of one.

    Example: mts models german-credit
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_table, shown_time

    with connect(url) as client:
        found = [client.model(name)] if name else list(client.models())
    if as_json:
        print_json(found[0] if name else found)
        return
    rows = (
        (model.name, version.version, ", ".join(version.aliases), shown_time(version.created_at),
         _first_metrics(version.metrics), version.job_id)
        for model in found
        for version in model.versions
    )  # fmt: skip
    print_table(("NAME", "VERSION", "ALIASES", "CREATED", "METRICS", "JOB"), rows, empty="no models")


def report(
    name: ModelName,
    version: Annotated[str, typer.Argument(help="Version to report on.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Where the page goes. Default: NAME-VERSION.html here.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Saves the evaluation report of a version as a page, or prints it as JSON.

    Example: mts report german-credit 1 --out report.html
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line

    with connect(url) as client:
        if as_json:
            print_json(client.report(name, version))
            return
        page = client.report_page(name, version)
    path = out or Path(f"{name}-{version}.html")
    path.write_text(page, encoding="utf-8")
    print_line(str(path))


def bundle(
    name: ModelName,
    version: Annotated[str, typer.Argument(help="Version to hand over.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the archive.")] = Path(),
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Downloads and checks the archive in which a version is handed over.

    Example: mts bundle german-credit 1 --out /tmp
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line

    out.mkdir(parents=True, exist_ok=True)
    with connect(url) as client:
        path = client.bundle(name, version, out)
    if as_json:
        print_json({"path": str(path), "bytes": path.stat().st_size})
    else:
        print_line(str(path))


def promote(
    name: ModelName,
    version: Annotated[str, typer.Argument(help="Version that becomes the champion.")],
    *,
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="Past the gate; needs a reason.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Makes a version the champion.

    Example: mts promote german-credit 3 --reason "better on the hold-out rows"
    """
    from ray_app.cli.connection import connect

    with connect(url) as client:
        _tell_aliases(client.promote(name, version, reason=reason, force=force), as_json=as_json)


def rollback(name: ModelName, *, reason: Reason = "", url: Url = None, as_json: AsJson = False) -> None:
    """Makes the previous champion the champion again.

    Example: mts rollback german-credit --reason "complaints since Monday"
    """
    from ray_app.cli.connection import connect

    with connect(url) as client:
        _tell_aliases(client.rollback(name, reason=reason), as_json=as_json)


def compare(
    name: ModelName,
    a: Annotated[str, typer.Argument(help="Version or alias.")],
    b: Annotated[str, typer.Argument(help="Version or alias that is compared with it.")],
    *,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Compares two versions of a model: metrics, and differences on the rows that both held out.

    Example: mts compare german-credit champion 2
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line, print_table, shown_number

    with connect(url) as client:
        found = client.compare(name, a, b)
    if as_json:
        print_json(found)
        return
    rows = (
        (metric, _value(pair["a"], shown_number), _value(pair["b"], shown_number),
         _gain(pair["difference"]))
        for metric, pair in found["metrics"].items()
    )  # fmt: skip
    print_table(("METRIC", f"VERSION {found['a']}", f"VERSION {found['b']}", "GAIN"), rows)
    print_line(found["note"] or f"gain of {found['b']} over {found['a']} on {found['rows']} rows that both held out")


def archive(
    name: ModelName,
    version: Annotated[str, typer.Argument(help="Version to put away.")],
    *,
    restore: Annotated[bool, typer.Option("--restore", help="Take it back instead.")] = False,
    reason: Reason = "",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Puts a version away, so that it cannot be promoted; refused while an alias points at it.

    Example: mts archive german-credit 2 --reason "trained on the wrong rows"
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line

    with connect(url) as client:
        found = client.archive(name, version, reason=reason, archived=not restore)
    if as_json:
        print_json(found)
    else:
        print_line(f"{name} version {version} is {'back' if restore else 'archived'}")


def audit(name: ModelName, *, url: Url = None, as_json: AsJson = False) -> None:
    """Shows who did what to the versions of a model, newest first.

    Example: mts audit german-credit
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_table

    with connect(url) as client:
        entries = client.audit(name)
    if as_json:
        print_json(entries)
        return
    rows = ((one["at"], one["action"], one["version"], one["by"], one["reason"]) for one in entries)
    print_table(("AT", "ACTION", "VERSION", "BY", "REASON"), rows, empty="nothing was done yet")


def _value(interval: dict[str, Any] | None, shown: Callable[[object], str]) -> str:
    return "" if interval is None else shown(interval["value"])


def _gain(difference: dict[str, Any] | None) -> str:
    if difference is None or difference["value"] is None:
        return ""
    bounds = "" if difference["low"] is None else f"  [{difference['low']:+.4f}, {difference['high']:+.4f}]"
    return f"{difference['value']:+.4f}{bounds}"


def _tell_aliases(model: Any, *, as_json: bool) -> None:
    from ray_app.cli.output import print_json, print_line

    if as_json:
        print_json(model)
    else:
        print_line(f"{model.name}: " + ", ".join(f"{alias} is {version}" for alias, version in model.aliases.items()))


def _first_metrics(metrics: dict[str, Any], count: int = 2) -> str:
    from ray_app.cli.output import shown_number

    values = ((name, value.get("value") if isinstance(value, dict) else value) for name, value in metrics.items())
    return ", ".join(f"{name} {shown_number(value)}" for name, value in list(values)[:count])


COMMANDS: dict[str, Callable[..., Any]] = {
    "evaluate": evaluate, "models": models, "report": report, "bundle": bundle, "promote": promote,
    "rollback": rollback, "compare": compare, "archive": archive, "audit": audit,
}  # fmt: skip
