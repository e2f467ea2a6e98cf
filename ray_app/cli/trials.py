"""The command about the trials of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from ray_app.cli.options import AsJson, JobId, Url

MAX_PARAMS_CHARS = 60


def trials(
    job_id: JobId,
    *,
    limit: int = typer.Option(200, min=1, help="Most trials to list."),
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Lists the configurations that the search of a job has tried, by number.

    Example: mts trials job_01KC2Y
    """
    import json
    from itertools import islice

    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_table

    with connect(url) as client:
        found = list(islice(client.trials(job_id), limit))
        study = (client.job(job_id).result or {}).get("study") or {}
    if as_json:
        print_json(found)
        return
    metrics = study.get("objectives") or list(next((row.values for row in found if row.values), {}))[:3]
    best = (study.get("best") or {}).get("number")
    rows = []
    for row in found:
        values = [f"{row.values[name]:.5g}" if name in row.values else "" for name in metrics]
        params = json.dumps(row.params, default=str) if row.params else "the default configuration"
        cut = params if len(params) <= MAX_PARAMS_CHARS else params[: MAX_PARAMS_CHARS - 1] + "…"
        rows.append((f"{row.number}{' *' if row.number == best else ''}", row.status, *values, row.error or cut))
    print_table(("TRIAL", "STATUS", *(name.upper() for name in metrics), "PARAMETERS"), rows, empty="no trials")


COMMANDS: dict[str, Callable[..., Any]] = {"trials": trials}
