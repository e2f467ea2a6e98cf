"""Model versions: written whole or not at all, found by job, by number and by alias."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from training.errors import ConflictError, NotFoundError, SpecError, nearest
from training.mts_scoring.model import ModelFileError, ScoringModel
from training.registry.environment import code_version
from training.registry.errors import translated
from training.registry.model import (
    CHAMPION,
    AuditLog,
    ModelInfo,
    ModelPage,
    VersionInfo,
    audit_log,
    model_info,
    version_info,
)
from training.registry.new_version import NewVersion
from training.registry.packaging import MODEL_PATH, save_mlflow_model
from training.registry.rows import RowHashes, identifying
from training.registry.store import quoted
from training.registry.tracking import RunTracker

MODEL_FOLDER = "model"
ROWS_FOLDER, ROWS_FILE = "rows", "seen.npy"
SPEC_FILE = "spec.json"
MAX_NAMES = 1000
LONGEST_NUMBER = 9
"""Digits of a version that there can be: MLflow keeps 32 bits of it on PostgreSQL."""


def save_version(client: MlflowClient, tracker: RunTracker, made: NewVersion) -> VersionInfo:
    """Uploads everything, then creates the version by one call: a process that dies before leaves no version.

    Raises:
        UnavailableError: the store or the artifact folder is away.
    """
    with tempfile.TemporaryDirectory(prefix="mts-register-") as temporary:
        folder = Path(temporary)
        (folder / ROWS_FOLDER).mkdir()
        np.save(folder / ROWS_FOLDER / ROWS_FILE, identifying(made.row_hashes), allow_pickle=False)
        save_mlflow_model(made.model, made.sample, folder / MODEL_FOLDER, tracker.run_id)
        for path, content in made.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        tracker.upload(folder)
    with translated(f"registering {tracker.name}"):
        return version_info(_create_version(client, tracker, _tags(tracker, made)))


def _tags(tracker: RunTracker, made: NewVersion) -> dict[str, str]:
    """What a version says of itself."""
    tags = {
        "job_id": tracker.job_id,
        "attempt": str(tracker.attempt),
        "task": made.model.task,
        "data_sha256": tracker.data_sha256,
        "code_version": code_version(),
        "metrics": json.dumps({metric: interval.model_dump() for metric, interval in made.metrics.items()}),
        "lineage": json.dumps({"data_uri": tracker.data_uri, **made.lineage}, ensure_ascii=False),
    }
    return tags if made.verdict is None else tags | {"gate": made.verdict.model_dump_json()}


def find_by_job(client: MlflowClient, name: str, job_id: str) -> ModelVersion | None:
    """The version that a job registered, the first one if there are several."""
    with translated(f"looking for the version of job {job_id}"):
        found = client.search_model_versions(f"name = '{quoted(name)}' and tags.job_id = '{quoted(job_id)}'")
    return min(found, key=lambda version: int(version.version), default=None)


def resolve(client: MlflowClient, name: str, version: str | None, alias: str | None) -> VersionInfo:
    """A version by number or by alias, the champion by default.

    Raises:
        NotFoundError: names the nearest model, or the versions and aliases that there are.
    """
    found = _by_number(client, name, version) if version else by_alias(client, name, alias or CHAMPION)
    if found is not None:
        return found
    known = model(client, name)
    missing = f"version {version}" if version else f"version with the alias {alias or CHAMPION}"
    close = "" if version else nearest(alias or CHAMPION, known.aliases)
    raise NotFoundError(f"{name} has no {missing}{close}", hint=_versions_hint(known))


def by_alias(client: MlflowClient, name: str, alias: str) -> VersionInfo | None:
    """The version with an alias; None where there is none, or no such model."""
    try:
        with translated(f"looking for the {alias} of {name}"):
            return version_info(client.get_model_version_by_alias(name, alias))
    except (NotFoundError, ConflictError):
        # MLflow calls an alias that is not there an invalid parameter.
        return None


def load(info: VersionInfo) -> ScoringModel:
    """Reads the model of a version; its files are checked against their hashes.

    Raises:
        UnavailableError: the artifact store is away.
        NotFoundError: the files are gone or are not those that were saved.
    """
    try:
        with translated(f"loading {info.uri}"):
            folder = download_artifacts(artifact_uri=f"{info.source}/{MODEL_PATH}")
            return ScoringModel.load(Path(folder))
    except ModelFileError as error:
        raise NotFoundError(f"{info.uri} cannot be used: {error}", hint="promote or name another version") from error


def seen_rows(info: VersionInfo) -> RowHashes | None:
    """Hashes of the rows that the version was fitted on, see `rows.identifying`; None for a version that keeps none.

    Raises:
        UnavailableError: the artifact store is away.
    """
    try:
        content = read_file(info, f"{ROWS_FOLDER}/{ROWS_FILE}")
    except NotFoundError:
        return None
    hashes: RowHashes = np.load(io.BytesIO(content), allow_pickle=False)
    return hashes


def read_file(info: VersionInfo, path: str) -> bytes:
    """A file that was stored beside the model of a version.

    Raises:
        NotFoundError: the version keeps none of that name.
        UnavailableError: the artifact store is away.
    """
    root = info.source.removesuffix(f"/{MODEL_FOLDER}")
    with tempfile.TemporaryDirectory(prefix="mts-read-") as folder, translated(f"reading {path} of {info.uri}"):
        return Path(download_artifacts(artifact_uri=f"{root}/{path}", dst_path=folder)).read_bytes()


def training_spec(info: VersionInfo) -> dict[str, Any] | None:
    """The spec of the job that made the version; None where none was recorded.

    Raises:
        UnavailableError: the artifact store is away.
    """
    try:
        spec: dict[str, Any] = json.loads(read_file(info, SPEC_FILE))
    except NotFoundError:
        return None
    return spec


def model(client: MlflowClient, name: str) -> ModelInfo:
    """A model with all its versions.

    Raises:
        NotFoundError: no such model.
    """
    try:
        with translated(f"reading {name}"):
            return model_info(client.get_registered_model(name), _all_versions(client, name))
    except NotFoundError:
        raise no_such_model(client, name) from None


def audit(client: MlflowClient, name: str) -> AuditLog:
    """What was done to the versions of a model.

    Raises:
        NotFoundError: no such model.
    """
    try:
        with translated(f"reading {name}"):
            return audit_log(client.get_registered_model(name))
    except NotFoundError:
        raise no_such_model(client, name) from None


def models(client: MlflowClient, limit: int, cursor: str | None) -> ModelPage:
    """A page of models by name, each with its newest version.

    Raises:
        SpecError: the cursor is not one of ours.
    """
    try:
        with translated("listing the models"):
            page = client.search_registered_models(max_results=limit, page_token=cursor, order_by=["name ASC"])
    except ConflictError:
        raise SpecError.at("cursor", cursor, "not a cursor of this list") from None
    items = [model_info(found, found.latest_versions) for found in page]
    return ModelPage(items=items, next_cursor=page.token or None)


def data_hashes(client: MlflowClient) -> frozenset[str]:
    """Hashes of the rows that any version was trained on."""
    with translated("listing the versions"):
        found: set[str] = set()
        token = None
        while True:
            page = client.search_model_versions(page_token=token)
            found |= {version.tags["data_sha256"] for version in page if "data_sha256" in version.tags}
            token = page.token
            if not token:
                return frozenset(found)


def no_such_model(client: MlflowClient, name: str) -> NotFoundError:
    """The error for an unknown name; names the nearest."""
    with translated("listing the models"):
        names = [found.name for found in client.search_registered_models(max_results=MAX_NAMES)]
    return NotFoundError(f"no model named {name}{nearest(name, names)}", hint="GET /api/v1/models lists the models")


def _by_number(client: MlflowClient, name: str, version: str) -> VersionInfo | None:
    if len(version) > LONGEST_NUMBER:
        return None  # no version has it, and a database raises
    try:
        with translated(f"looking for version {version} of {name}"):
            return version_info(client.get_model_version(name, version))
    except NotFoundError:
        return None


def _all_versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{quoted(name)}'", page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _versions_hint(known: ModelInfo) -> str:
    numbers = [version.version for version in known.versions]
    if not numbers:
        return "the model has no version yet"
    aliases = "".join(f", {alias} is version {version}" for alias, version in known.aliases.items())
    return f"newest version {numbers[0]}, oldest {numbers[-1]}{aliases}"


def _create_version(client: MlflowClient, tracker: RunTracker, tags: dict[str, str]) -> ModelVersion:
    source = f"{tracker.artifact_uri.rstrip('/')}/{MODEL_FOLDER}"
    try:
        return client.create_model_version(tracker.name, source, run_id=tracker.run_id, tags=tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    _ensure_model(client, tracker.name)
    return client.create_model_version(tracker.name, source, run_id=tracker.run_id, tags=tags)


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
