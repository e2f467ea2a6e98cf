"""A job whose process died after it had registered its version."""

from __future__ import annotations

import json

from training.errors import NotFoundError
from training.pipeline.workplace import Workplace
from training.registry import gate
from training.registry.files import RESULT
from training.result import TrainResult


def registered(name: str, job_id: str, workplace: Workplace) -> TrainResult | None:
    """The result of the job, as the version that it registered keeps it, with the gate's verdict carried out.

    Returns:
        None where the job has registered no version, or one of a release that kept no result with it.

    Raises:
        UnavailableError: the registry is away.
    """
    registry = workplace.registry
    version = registry.find_by_job(name, job_id)
    if version is None:
        return None
    try:
        kept = registry.read_file(registry.version(name, version.version), RESULT)
    except NotFoundError:
        return None
    registry.close_stale_runs(name, job_id)
    found = TrainResult.model_validate(json.loads(kept))
    return found.model_copy(update={"model": version, "gate": gate.apply(registry, version)})
