"""Commands about data: data, upload, uploads, delete-upload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

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


def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet.", exists=True, dir_okay=False)],
    *,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Uploads a file that a spec can name as {type: upload, id: ...}.

    Example: mts upload examples/data/diabetes.csv
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line

    with connect(url) as client:
        kept = client.upload(file)
    if as_json:
        print_json(kept)
    else:
        print_line(f"{kept['id']} {kept['name']}: {kept['size_bytes']} bytes, {len(kept['columns'])} columns")


def uploads(*, url: Url = None, as_json: AsJson = False) -> None:
    """Lists uploads, newest first.

    Example: mts uploads
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_table

    with connect(url) as client:
        found = list(client.uploads())
    if as_json:
        print_json(found)
        return
    rows = [(one["id"], one["name"], one["format"], one["size_bytes"], one["created_at"]) for one in found]
    print_table(("ID", "NAME", "FORMAT", "BYTES", "CREATED"), rows, empty="no uploads")


def delete_upload(
    upload_id: Annotated[str, typer.Argument(metavar="ID", help="Upload, as `mts uploads` lists it.")],
    *,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Removes an upload; jobs that were trained on it keep their snapshots.

    Example: mts delete-upload data_019c3f
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line

    with connect(url) as client:
        client.delete_upload(upload_id)
    if as_json:
        print_json({"id": upload_id, "deleted": True})
    else:
        print_line(f"{upload_id} is deleted")


COMMANDS: dict[str, Callable[..., Any]] = {
    "data": data, "upload": upload, "uploads": uploads, "delete-upload": delete_upload,
}  # fmt: skip
