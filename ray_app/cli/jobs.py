"""Commands about jobs: train, jobs, job, cancel, retry, reproduce, logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ray_app.cli.options import AsJson, Follow, JobId, Url

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="Spec in YAML or JSON; - for standard input.")]


def train(
    spec: SpecFile,
    *,
    follow: Follow = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job is over, and print nothing before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the spec and the data, print the plan.")] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key and spec are the same job.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submits a training job; with --follow or --wait exits 0 only when it has succeeded.

    Example: mts train examples/german_credit.yaml --follow
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json
    from ray_app.cli.plan import show_plan
    from ray_app.cli.spec_file import read_spec

    document = read_spec(spec)
    with connect(url) as client:
        if dry_run:
            plan = client.train(document, dry_run=True)
            (print_json if as_json else show_plan)(plan)
            return
        submitted = client.train(document, idempotency_key=idempotency_key)
        _attend(client, submitted.id, follow=follow, wait=wait, as_json=as_json)


def list_jobs(
    *,
    status: Annotated[list[str] | None, typer.Option(help="Only these, such as RUNNING; may be repeated.")] = None,
    kind: Annotated[str | None, typer.Option(help="train, evaluate or reproduce.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the model.")] = None,
    tag: Annotated[str | None, typer.Option(help="key or key=value.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 20,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Lists jobs, newest first.

    Example: mts jobs --status RUNNING --status PENDING
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_table, shown_duration, shown_time

    with connect(url) as client:
        query = {"status": [one.upper() for one in status or ()], "kind": kind, "name": name, "tag": tag}
        found = list(client.jobs(limit=limit, **query))  # type: ignore[arg-type]  # the service checks the kind
    if as_json:
        print_json(found)
        return
    rows = (
        (job.id, job.status, job.kind, job.name, job.progress.phase if job.status == "RUNNING" else "",
         shown_time(job.created_at), shown_duration(job.started_at, job.finished_at))
        for job in found
    )  # fmt: skip
    print_table(("ID", "STATUS", "KIND", "NAME", "PHASE", "CREATED", "TOOK"), rows, empty="no jobs")


def job(job_id: JobId, *, follow: Follow = False, url: Url = None, as_json: AsJson = False) -> None:
    """Shows a job; with --follow until it is over, and exits 0 only when it has succeeded.

    Example: mts job job_01KC2Y --follow
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.follow import conclude
    from ray_app.cli.output import print_fields, print_json, shown_duration, shown_time

    with connect(url) as client:
        if follow:
            _attend(client, job_id, follow=True, wait=False, as_json=as_json)
            return
        found = client.job(job_id)
        if as_json:
            print_json(found)
            return
        print_fields([
            ("id", found.id), ("status", found.status), ("kind", found.kind), ("name", found.name),
            ("attempt", found.attempt or None), ("created", shown_time(found.created_at)),
            ("took", shown_duration(found.started_at, found.finished_at)),
            ("phase", None if found.status.final else f"{found.progress.phase} {found.progress.fraction:.0%}"),
            ("waits for", None if found.status.final else found.progress.message),
            ("retry of", found.retry_of), ("tags", ", ".join(f"{key}={value}" for key, value in found.tags.items())),
        ])  # fmt: skip
        if found.status.final:
            conclude(found, client.url, as_json=False)


def cancel(job_id: JobId, *, url: Url = None, as_json: AsJson = False) -> None:
    """Asks a job to stop.

    Example: mts cancel job_01KC2Y
    """
    from ray_app.cli.connection import connect

    with connect(url) as client:
        _tell(client.cancel(job_id), "is asked to stop", as_json=as_json)


def retry(job_id: JobId, *, follow: Follow = False, url: Url = None, as_json: AsJson = False) -> None:
    """Submits the spec of a failed or cancelled job anew.

    Example: mts retry job_01KC2Y --follow
    """
    from ray_app.cli.connection import connect

    with connect(url) as client:
        _attend(client, client.retry(job_id).id, follow=follow, wait=False, as_json=as_json)


def reproduce(job_id: JobId, *, follow: Follow = False, url: Url = None, as_json: AsJson = False) -> None:
    """Trains again from the snapshot of a finished job, and states the difference in each metric.

    Example: mts reproduce job_01KC2Y --follow
    """
    from ray_app.cli.connection import connect

    with connect(url) as client:
        _attend(client, client.reproduce(job_id).id, follow=follow, wait=False, as_json=as_json)


def logs(job_id: JobId, *, follow: Follow = False, url: Url = None, as_json: AsJson = False) -> None:
    """Prints the log of a job; with --follow until the job is over.

    Example: mts logs job_01KC2Y --follow
    """
    import sys

    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json

    with connect(url) as client:
        if as_json:
            print_json({"job": job_id, "log": "".join(client.logs(job_id, follow=follow))})
            return
        for piece in client.logs(job_id, follow=follow):
            sys.stdout.write(piece)
            sys.stdout.flush()


def _attend(client: Any, job_id: str, *, follow: bool, wait: bool, as_json: bool) -> None:
    """Stays with a job as long as the options say; exits 1 unless it succeeds."""
    from ray_app.cli.follow import conclude
    from ray_app.cli.follow import follow as follow_job
    from ray_app.cli.output import err

    if not (follow or wait):
        _tell(client.job(job_id), "is submitted", as_json=as_json)
        return
    try:
        if follow and not as_json:
            err.print(f"job {job_id}", markup=False)
        final = follow_job(client, job_id, as_json=as_json) if follow else client.wait(job_id)
    except KeyboardInterrupt:
        err.print(f"\nthe job goes on; follow it again: mts job {job_id} --follow", markup=False)
        raise typer.Exit(1) from None
    if not conclude(final, client.url, as_json=as_json, as_lines=follow):
        raise typer.Exit(1)


def _tell(found: Any, what: str, *, as_json: bool) -> None:
    from ray_app.cli.output import print_json, print_line

    if as_json:
        print_json(found)
    else:
        print_line(f"{found.id} {what} ({found.status}); follow it: mts job {found.id} --follow")


COMMANDS: dict[str, Callable[..., Any]] = {
    "train": train, "jobs": list_jobs, "job": job, "cancel": cancel, "retry": retry, "reproduce": reproduce,
    "logs": logs,
}  # fmt: skip
