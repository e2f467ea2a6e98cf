"""What is kept about a job's data for people: the profile of every column and the findings of every check."""

from __future__ import annotations

from datetime import UTC, datetime

from training.data.profiling import DataReport, DataReports, page, profile_columns
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, context_of


def describe(job: Job, checked: Checked) -> DataReport:
    """The report, kept in the artifact store and with the run, also where a finding is about to stop the job.

    Raises:
        UnavailableError: the artifact store is away.
    """
    schema, summary = checked.schema, checked.summary()
    report = DataReport(
        job_id=job.id, time=datetime.now(UTC).isoformat(timespec="seconds"), uri=checked.dataset.uri,
        sha256=checked.dataset.sha256, snapshot=checked.dataset.snapshot, rows=summary.rows,
        train_rows=summary.train_rows, validation_rows=summary.validation_rows, test_rows=summary.test_rows,
        split=summary.split, target=schema.target, task=schema.task,
        columns=profile_columns(context_of(checked, job.spec)), findings=summary.findings, warnings=summary.warnings,
    )  # fmt: skip
    DataReports(job.workplace.registry.artifact_uri).keep(report)
    job.tracker.log_text("data.json", report.model_dump_json(indent=2))
    job.tracker.log_text("data.html", page(report))
    return report
