"""Runs, model versions, and which version is the champion; the only room that knows MLflow."""

from training.registry.model import AliasChange, ModelInfo, ModelPage, VersionInfo
from training.registry.registry import Registry
from training.registry.rows import row_hashes
from training.registry.tracking import RunTracker
from training.registry.trial_runs import TrialRuns

__all__ = ["AliasChange", "ModelInfo", "ModelPage", "Registry", "RunTracker", "TrialRuns", "VersionInfo", "row_hashes"]
