"""Tables of any kind through the whole pipeline: each trains, and its version scores the rows, or is refused by name.

A few here; `pytest tests/integration/test_any_table.py --hypothesis-profile long` for a thousand.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from any_table import AnyTable, any_table
from hypothesis import HealthCheck, Phase, given, settings

from training.data import DataAccess, load
from training.errors import TrainingError
from training.events import SilentObserver
from training.pipeline import Workplace, run
from training.registry import Registry
from training.result import TrainResult
from training.spec import TrainSpec, parse_spec

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SHARE = 5
"""One example takes as long as many of the others'."""
FEW = settings().max_examples <= 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@pytest.fixture(scope="module")
def workplace(folder: Path) -> Workplace:
    return Workplace(
        DataAccess((str(folder),), folder), Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    )


@settings(
    max_examples=settings().max_examples // SHARE, derandomize=FEW, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
@given(table=any_table())
def test_a_table_trains_or_is_refused(workplace: Workplace, folder: Path, table: AnyTable) -> None:
    (folder / table.name).write_bytes(table.content)
    spec = parse_spec(TrainSpec, table.spec)
    try:
        result = run(spec, workplace, SilentObserver(), job_id="job_any")
    except TrainingError as refused:
        told = refused.message
    else:
        told = "trained"
        _check_version(workplace, spec, result)
    assert told
    assert "Error" not in told, "a library's own words"


def _check_version(workplace: Workplace, spec: TrainSpec, result: TrainResult) -> None:
    for name, metric in result.metrics.items():
        assert metric.value is None or math.isfinite(metric.value), name
    frame = load(spec.data.source, workplace.access).frame
    version = workplace.registry.version(result.model.name, result.model.version)
    assert len(workplace.registry.load(version).predict(frame)) == len(frame)
