"""Runs, model versions and the champion of each model, kept in MLflow."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import UnavailableError
from training.mts_scoring.model import ScoringModel
from training.registry import aliases, store, trial_runs, versions
from training.registry.aliases import Seen
from training.registry.bundle import write_bundle
from training.registry.environment import code_version
from training.registry.errors import translated
from training.registry.model import AuditLog, ModelInfo, ModelPage, VersionInfo
from training.registry.new_version import NewVersion
from training.registry.rows import RowHashes
from training.registry.tracking import RunTracker
from training.registry.versus import VersionComparison, versus
from training.result import TrialRow, VersionReference
from training.spec import TrainSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registry:
    """Cheap to make and picklable: it connects when it is first used, once per process. Safe to use from threads.

    `tracking_uri`: SQLAlchemy URL or http(s) address of MLflow; a SQLite file is created where there is none.
    `artifact_uri`: folder or URI below which each model has a folder for its artifacts.

    Every method raises UnavailableError when the store is away, and none raises an error of MLflow.
    """

    tracking_uri: str
    artifact_uri: str

    def connect(self) -> None:
        """Opens the store now, so that the first job does not wait for it."""
        store.connect(self.tracking_uri)

    def health(self) -> None:
        """Asks the store for something small.

        Raises:
            UnavailableError: it does not answer.
        """
        store.check_health(self.tracking_uri)

    def is_away(self) -> bool:
        """Whether the store does not answer now."""
        try:
            self.health()
        except UnavailableError as error:
            logger.debug("%s", error.message)
            return True
        return False

    def start_run(self, name: str, job_id: str, spec: TrainSpec) -> RunTracker:
        """A run for a new attempt of the job; ends runs that an attempt left open when its process died."""
        client = store.connect(self.tracking_uri)
        experiment = store.experiment_of(client, name, self.artifact_uri)
        with translated(f"starting the run of job {job_id}"):
            earlier = self._close_stale(experiment, job_id)
            tags = {
                "job_id": job_id,
                "attempt": str(earlier + 1),
                "code_version": code_version(),
                "mlflow.source.name": "training.pipeline",
                "mlflow.source.type": "JOB",
                **{f"tag.{key}": value for key, value in spec.tags.items()},
            }
            run = client.create_run(experiment, tags=tags, run_name=job_id)
        return RunTracker(client, run, spec, self.is_away)

    def close_stale_runs(self, name: str, job_id: str) -> int:
        """Marks the runs that a dead process left open as KILLED; says how many runs the job has."""
        client = store.connect(self.tracking_uri)
        experiment = store.experiment_of(client, name, self.artifact_uri)
        with translated(f"closing the runs of job {job_id}"):
            return self._close_stale(experiment, job_id)

    def register(self, tracker: RunTracker, made: NewVersion) -> VersionReference:
        """Makes a version of the model; a second call for the same job answers the version that is there.

        Args:
            tracker: the job's run.
            made: the model, and what is to be kept with it.
        """
        client = store.connect(self.tracking_uri)
        found = versions.find_by_job(client, tracker.name, tracker.job_id)
        if found is not None:
            return _reference(tracker.name, str(found.version))
        info = versions.save_version(client, tracker, made)
        return _reference(info.name, info.version)

    def find_by_job(self, name: str, job_id: str) -> VersionReference | None:
        """The version that a job registered."""
        found = versions.find_by_job(store.connect(self.tracking_uri), name, job_id)
        return None if found is None else _reference(name, str(found.version))

    def resolve(self, name: str, version: str | None = None, alias: str | None = None) -> VersionInfo:
        """A version by number or by alias; the champion by default.

        Raises:
            NotFoundError: names the nearest model, or the versions and aliases that there are.
        """
        return versions.resolve(store.connect(self.tracking_uri), name, version, alias)

    def load(self, info: VersionInfo) -> ScoringModel:
        """The model of a version, its files checked against their hashes.

        Raises:
            NotFoundError: the files are gone, or are not those that were saved.
        """
        return versions.load(info)

    def seen_rows(self, info: VersionInfo) -> RowHashes | None:
        """Hashes of the rows that the version was fitted on; None where it keeps none."""
        return versions.seen_rows(info)

    def read_file(self, info: VersionInfo, path: str) -> bytes:
        """A file that is kept with the version.

        Raises:
            NotFoundError: the version keeps none of that name.
        """
        return versions.read_file(info, path)

    def bundle(self, info: VersionInfo, folder: Path) -> tuple[Path, str]:
        """Writes the archive in which the version is handed over into a folder, see `bundle.write_bundle`.

        Raises:
            NotFoundError: the version was not made by this service.
        """
        return write_bundle(info, folder)

    def training_spec(self, info: VersionInfo) -> dict[str, Any] | None:
        """The spec of the job that made the version; None where it was not made by this service."""
        return versions.training_spec(info)

    def tag_version(self, info: VersionInfo, key: str, value: str) -> None:
        """Writes a tag of the version."""
        client = store.connect(self.tracking_uri)
        with translated(f"tagging {info.uri}"):
            client.set_model_version_tag(info.name, info.version, key, value)

    def models(self, limit: int = 50, cursor: str | None = None) -> ModelPage:
        """A page of models by name, each with its newest version.

        Raises:
            SpecError: the cursor is not one of ours.
        """
        return versions.models(store.connect(self.tracking_uri), limit, cursor)

    def model(self, name: str) -> ModelInfo:
        """A model with all its versions, newest first.

        Raises:
            NotFoundError: no such model.
        """
        return versions.model(store.connect(self.tracking_uri), name)

    def version(self, name: str, version: str) -> VersionInfo:
        """One version.

        Raises:
            NotFoundError: no such model or version.
        """
        return versions.resolve(store.connect(self.tracking_uri), name, version, None)

    def trials(self, name: str, job_id: str) -> list[TrialRow]:
        """The trials of a job's search by number, as far as they are recorded; empty for a job without one."""
        return trial_runs.trials_of(store.connect(self.tracking_uri), name, job_id)

    def studies(self, name: str) -> list[list[TrialRow]]:
        """The complete trials of each search of a model, or of a job of any model, the newest search first."""
        return trial_runs.studies_of(store.connect(self.tracking_uri), name)

    def data_hashes(self) -> frozenset[str]:
        """Hashes of the rows that any version of any model was trained on."""
        return versions.data_hashes(store.connect(self.tracking_uri))

    def promote(self, name: str, version: str, *, reason: str, by: str, seen: Seen | None = None) -> None:
        """Makes a version the champion; the champion before becomes previous.

        Raises:
            NotFoundError: no such model or version.
            ConflictError: it is the champion already, it is archived, or the champion is not the one that was `seen`.
        """
        aliases.promote(store.connect(self.tracking_uri), name, version, aliases.Act(by, reason), seen)

    def rollback(self, name: str, *, reason: str, by: str) -> None:
        """Swaps champion and previous.

        Raises:
            NotFoundError: no such model.
            ConflictError: there is no previous champion.
        """
        aliases.rollback(store.connect(self.tracking_uri), name, aliases.Act(by, reason))

    def challenge(self, name: str, version: str) -> None:
        """Notes a version that was not promoted as the challenger."""
        aliases.challenge(store.connect(self.tracking_uri), name, version)

    def archive(self, name: str, version: str, *, reason: str, by: str, away: bool = True) -> None:
        """Puts a version away, or takes it back.

        Raises:
            NotFoundError: no such model or version.
            ConflictError: an alias points at it.
        """
        aliases.archive(store.connect(self.tracking_uri), name, version, aliases.Act(by, reason), away=away)

    def delete(self, name: str, version: str, *, reason: str, by: str) -> None:
        """Deletes a version for good.

        Raises:
            NotFoundError: no such model or version.
            ConflictError: an alias points at it.
        """
        aliases.delete(store.connect(self.tracking_uri), name, version, aliases.Act(by, reason))

    def audit(self, name: str) -> AuditLog:
        """What was done to the versions of a model, newest first.

        Raises:
            NotFoundError: no such model.
        """
        return versions.audit(store.connect(self.tracking_uri), name)

    def compare(self, name: str, a: str, b: str) -> VersionComparison:
        """Version b against version a.

        Raises:
            NotFoundError: no such model or version.
        """
        return versus(self.version(name, a), self.version(name, b))

    def _close_stale(self, experiment: str, job_id: str) -> int:
        client = store.connect(self.tracking_uri)
        runs = store.runs_of_job(client, experiment, job_id)
        for run_id, status in runs:
            if status in {"RUNNING", "SCHEDULED"}:
                client.set_terminated(run_id, "KILLED")
        if runs:
            trial_runs.close_stale(client, experiment, job_id)
        return len(runs)


def _reference(name: str, version: str) -> VersionReference:
    return VersionReference(name=name, version=version, uri=f"models:/{name}/{version}")
