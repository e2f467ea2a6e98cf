"""Runs, model versions, and which version is the champion; the only room that knows MLflow."""

from training.registry.model import AliasChange, ModelInfo, ModelPage, VersionInfo
from training.registry.registry import Registry
from training.registry.rows import row_hashes
from training.registry.tracking import RunTracker

__all__ = ["AliasChange", "ModelInfo", "ModelPage", "Registry", "RunTracker", "VersionInfo", "row_hashes"]
