"""A worker's process imports only what its kind of fit needs: two workers wait for it each time they start."""

from __future__ import annotations

import subprocess
import sys

import pytest

UNUSED = {
    "training.distributed.train_torch_worker": ("xgboost", "sklearn", "sqlalchemy", "mlflow"),
    "training.distributed.train_xgboost_worker": ("torch", "sqlalchemy", "mlflow"),
    "training.distributed.xgboost_ray_adapter": ("torch", "sqlalchemy", "mlflow"),
}


@pytest.mark.parametrize("module", UNUSED)
def test_a_worker_imports_nothing_of_other_families(module: str) -> None:
    unused = (*UNUSED[module], "training.models.families")
    program = f"import sys, {module}; print([name for name in {unused!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip().splitlines()[-1] == "[]"
