"""What a run was made with: interpreter, packages, machine, version of the code."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from functools import lru_cache
from pathlib import Path

import training

PACKAGES = ("mlflow", "numpy", "pandas", "pyarrow", "ray", "scikit-learn", "scipy", "skops", "torch", "xgboost")
DISTRIBUTION = "model-training-service"


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """Versions and machine, by name. Reads no environment variable: those hold secrets."""
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host_cores": str(os.cpu_count()),
        "code_version": code_version(),
    }
    return facts | {name: version for name in PACKAGES if (version := installed_version(name)) is not None}


@lru_cache(maxsize=64)
def installed_version(distribution: str) -> str | None:
    """Version of a distribution without its local part (1.2.3+cpu is not on any index), None if it is not installed."""
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version of this service, with the commit where it runs from a checkout: 0.1.0+g748b4e3d2f1a."""
    version = installed_version(DISTRIBUTION) or "unknown"
    commit = _commit(Path(training.__file__).parents[1] / ".git")
    return f"{version}+g{commit[:12]}" if commit else version


def _commit(folder: Path) -> str | None:
    """The checked-out commit, read without starting a process."""
    head = folder / "HEAD"
    if not head.is_file():
        return None
    content = head.read_text(encoding="utf-8").strip()
    if not content.startswith("ref: "):
        return content
    reference = content.removeprefix("ref: ")
    loose = folder / reference
    if loose.is_file():
        return loose.read_text(encoding="utf-8").strip()
    packed = folder / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {reference}")), None)
