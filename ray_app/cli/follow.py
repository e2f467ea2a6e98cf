"""A job followed in the terminal until it is over."""

from __future__ import annotations

from typing import Any, get_args

from ray_app.cli.output import err, print_json, print_json_line, print_line
from ray_app.cli.problems import show_job_error
from ray_app.client import MtsClient
from ray_app.jobs.model import Job, JobEvent, JobStatus
from training.events import Phase
from training.result import EvaluationResult, ReproductionResult, TrainResult
from training.terminal import TerminalObserver, result_table, shown_interval


def follow(client: MtsClient, job_id: str, *, as_json: bool) -> Job:
    """Shows what happens to the job, and answers it in its final state."""
    if as_json:
        for event in client.events(job_id):
            print_json_line(event)
    else:
        with TerminalObserver(err) as observer:
            for event in client.events(job_id):
                _show_event(observer, event)
    return client.wait(job_id)


def conclude(job: Job, url: str, *, as_json: bool, as_lines: bool = False) -> bool:
    """Prints the job's result and where it is, or why there is none; answers whether it succeeded."""
    if as_json:
        (print_json_line if as_lines else print_json)(job)
    elif job.status is JobStatus.SUCCEEDED and job.result is not None:
        _show_result(job)
        _show_addresses(job, url)
    elif job.error is not None:
        show_job_error(job.error)
        err.print(f"  job: {job.id}; its log: mts logs {job.id}", markup=False, style="dim")
    else:
        err.print(f"{job.id} is {job.status}", markup=False)
    return job.status is JobStatus.SUCCEEDED


def _show_event(observer: TerminalObserver, event: JobEvent) -> None:
    data = event.data
    if event.type == "phase" and data["phase"] in get_args(Phase):
        observer.phase(data["phase"])
    elif event.type == "progress":
        observer.progress(data["fraction"], data.get("eta_s"))
    elif event.type == "metrics":
        observer.metrics(data["metrics"], data.get("step"))
    elif event.type == "state":
        observer.log(_state_line(data))


def _state_line(data: dict[str, Any]) -> str:
    attempt = f", attempt {data['attempt']}" if data.get("attempt", 0) > 1 else ""
    reason = f": {data['reason']}" if data.get("reason") else ""
    return f"{data['status']}{attempt}{reason}"


def _show_result(job: Job) -> None:
    from ray_app.cli.output import out

    if job.kind == "train":
        out.print(result_table(TrainResult.model_validate(job.result)))
    elif job.kind == "reproduce":
        show_reproduction(ReproductionResult.model_validate(job.result))
    else:
        show_report(EvaluationResult.model_validate(job.result))


def show_reproduction(found: ReproductionResult) -> None:
    """Prints how much each metric differs from the earlier job's."""
    from ray_app.cli.output import print_table, shown_number

    verdict = "identical" if found.identical else "different"
    print_line(f"{found.job_id} again, from snapshot {found.data_sha256[:12]}: {verdict}")
    rows = [
        (name, shown_number(one.original), shown_number(one.reproduced), one.difference)
        for name, one in found.metrics.items()
    ]
    print_table(("METRIC", "ORIGINAL", "REPRODUCED", "DIFFERENCE"), rows)


def show_report(report: EvaluationResult) -> None:
    """Prints the report of an evaluation."""
    from ray_app.cli.output import print_table

    print_line(f"{report.model.name} version {report.model.version} on {report.rows} rows")
    print_table(("METRIC", "VALUE  [INTERVAL]"), [(n, shown_interval(m)) for n, m in report.metrics.items()])
    for row in report.slices:
        figures = ", ".join(f"{name} {shown_interval(metric)}" for name, metric in row.metrics.items())
        print_line(f"{row.column}={row.value} ({row.rows} rows): {figures}")
    for warning in report.warnings:
        err.print(f"warning: {warning}", markup=False, style="yellow")


def _show_addresses(job: Job, url: str) -> None:
    print_line(f"job: {url}/api/v1/jobs/{job.id}")
    for name, address in job.links.items():
        print_line(f"{name}: {address}")
