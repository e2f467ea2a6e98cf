"""The report about a job's data, and where it is kept."""

from __future__ import annotations

import re

from training.data.artifact_folder import ArtifactFolder
from training.data.profiling.columns import ColumnProfile
from training.errors import NotFoundError
from training.result import Finding, ResultModel

FOLDER = "_data"
"""Below the artifact store; no model's name begins with an underscore."""
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class DataReport(ResultModel):
    """What the rows of a job are and what was found about them."""

    job_id: str
    time: str
    uri: str
    """Where the rows came from."""
    sha256: str
    snapshot: str
    """Where they are kept."""
    rows: int
    train_rows: int
    validation_rows: int
    test_rows: int
    split: str
    target: str
    task: str
    columns: list[ColumnProfile]
    findings: list[Finding]
    warnings: list[str]


class DataReports:
    """The reports of all jobs, below the artifact store. Every method raises UnavailableError when it is away."""

    def __init__(self, artifact_uri: str) -> None:
        self._folder = ArtifactFolder(artifact_uri, FOLDER)

    def keep(self, report: DataReport) -> None:
        """Keeps the report of a job; a later attempt at the job replaces it."""
        self._folder.write_bytes(f"{report.job_id}.json", report.model_dump_json().encode())

    def read(self, job_id: str) -> DataReport:
        """The report of a job.

        Raises:
            NotFoundError: there is none (yet).
        """
        content = self._folder.read_bytes(f"{job_id}.json") if _JOB_ID.fullmatch(job_id) else None
        if content is None:
            hint = "It is there once the job has read and checked its data; evaluations have none."
            raise NotFoundError(f"job {job_id} has no report about its data", hint=hint)
        return DataReport.model_validate_json(content)
