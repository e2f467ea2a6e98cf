"""Commands about data: what a job was trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_app.cli.options import AsJson, JobId, Url


def data(job_id: JobId, *, url: Url = None, as_json: AsJson = False) -> None:
    """Shows what a job's data look like, and what the checks found.

    Example: mts data job_01KC2Y
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_fields, print_json, print_line, print_table, shown_number

    with connect(url) as client:
        report = client.job_data(job_id)
    if as_json:
        print_json(report)
        return
    parts = f"{report['train_rows']} train, {report['validation_rows']} validation, {report['test_rows']} test"
    print_fields([
        ("from", report["uri"]), ("snapshot", report["snapshot"]), ("sha256", report["sha256"]),
        ("rows", f"{report['rows']}: {parts}"), ("split", report["split"]), ("target", report["target"]),
    ])  # fmt: skip
    rows = [
        (one["name"], one["kind"], one["role"], f"{one['missing_share']:.1%}", one["unique"],
         shown_number(one["relation"]))
        for one in report["columns"]
    ]  # fmt: skip
    print_table(("COLUMN", "TYPE", "ROLE", "MISSING", "DISTINCT", "PREDICTS ALONE"), rows)
    for one in report["findings"]:
        print_line(f"{one['severity']}: {one['check']}: {one['evidence']}. {one['remedy']}")


COMMANDS: dict[str, Callable[..., Any]] = {"data": data}
