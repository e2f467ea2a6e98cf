"""Copies this package for a registered model, so that the model brings the code that reads it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from string import Template

_HERE = Path(__file__).parent
_NOT_SHIPPED = frozenset({Path(__file__).name})

_ENTRY = Template('''\
"""Loaded by MLflow as the model's code."""

import importlib.util
import sys
from pathlib import Path

import mlflow.models

NAME = "$name"

here = Path(__file__).resolve().parent
folder = next(path for path in (here / "code" / NAME, here / NAME) if path.is_dir())
package = sys.modules.get(NAME)
if package is None:
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
else:
    # the same code, loaded from another model's folder, which may be gone before all of its modules were imported
    package.__path__ = [str(folder)]

mlflow.models.set_model(importlib.import_module(f"{NAME}.pyfunc").ScoringFunction())
''')


@cache
def package_name() -> str:
    """mts_scoring_<8 hexadecimal digits of the hash of the code>: two versions of the code have two names, and live
    side by side in one process."""
    digest = hashlib.sha256(_ENTRY.template.encode())
    for path in _shipped():
        content = path.read_bytes()
        digest.update(f"{path.name}:{len(content)}:".encode() + content)
    return f"mts_scoring_{digest.hexdigest()[:8]}"


def package_copy(folder: Path) -> tuple[Path, Path]:
    """Writes the package under its unique name, and the script that MLflow loads, into an existing folder.

    Returns:
        The script (`python_model` of mlflow.pyfunc.log_model) and the package (its `code_paths`).
    """
    package = folder / package_name()
    package.mkdir()
    for path in _shipped():
        (package / path.name).write_bytes(path.read_bytes())
    script = folder / "scoring_entry.py"
    script.write_text(_ENTRY.substitute(name=package.name), encoding="utf-8")
    return script, package


def _shipped() -> list[Path]:
    return sorted(path for path in _HERE.glob("*.py") if path.name not in _NOT_SHIPPED)
