"""The report about a job's data: over HTTP, as a page, and where a check has stopped the job."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from training.data import loading
from training.data.profiling import DataReport, DataReports, page
from training.data.sources import file_source
from training.data.streaming import spool
from training.errors import DataError
from training.events import SilentObserver
from training.pipeline import Workplace, run, take
from training.registry import Registry
from training.spec import TrainSpec, parse_spec


@pytest.fixture
def workplace(tmp_path) -> Workplace:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({
        "x": generator.normal(size=300), "<k>": generator.choice(["a", "b"], 300), "id": np.arange(300),
        "when": pd.date_range("2024-01-01", periods=300),
    })  # fmt: skip
    frame["y"] = np.where(frame["x"] + generator.normal(size=300) > 0, "yes", "no")
    frame.loc[:29, "x"] = np.nan
    frame["leak"] = (frame["y"] == "yes") * 1.0
    frame.to_parquet(tmp_path / "rows.parquet")
    from training.data import DataAccess

    return Workplace(
        DataAccess((str(tmp_path),), tmp_path), Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "store"))
    )


DATA = {"source": {"type": "file", "uri": "rows.parquet"}, "target": "y"}


def spec_of(**parts) -> TrainSpec:
    return parse_spec(TrainSpec, {"name": "toy", "data": DATA, **parts})


def test_a_job_leaves_a_report_also_when_a_check_stops_it(workplace: Workplace) -> None:
    with pytest.raises(DataError, match="leak alone predicts y"):
        run(spec_of(validation={"fail_on": ["single_feature"]}), workplace, SilentObserver(), job_id="job_stopped")

    report = DataReports(workplace.registry.artifact_uri).read("job_stopped")
    columns = {column.name: column for column in report.columns}
    assert workplace.registry.find_by_job("toy", "job_stopped") is None
    assert report.findings[0].check == "single_feature"
    assert (columns["x"].missing, columns["x"].missing_share) == (30, 0.1)
    assert sum(columns["x"].histogram.counts) == 270
    assert columns["leak"].relation == 1.0
    assert 0.6 < columns["x"].relation < 0.95
    assert columns["id"].relation is None
    assert {top.value for top in columns["<k>"].top_values} == {"a", "b"}
    assert columns["when"].min == "2024-01-01T00:00:00"

    shown = page(report)
    assert "&lt;k&gt;" in shown
    assert "<k>" not in shown
    assert "<script" not in shown
    assert "leak alone predicts y" in shown
    assert DataReport.model_validate_json(report.model_dump_json()) == report


class Listening(SilentObserver):
    """Keeps what a job says while it reads."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.figures: dict[str, float] = {}

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        self.shares.append(fraction)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.figures |= values


def test_rows_that_memory_does_not_hold_are_kept_checked_and_not_fitted(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_source, "STREAMED_BYTES", 0)
    monkeypatch.setattr(spool, "SPILL_BYTES", -1)
    monkeypatch.setattr(loading, "SAMPLE_ROWS", 200)
    monkeypatch.setattr(take, "free_bytes", lambda limit_mb: 1_000)
    monkeypatch.setattr(take, "TELL_S", -1.0)
    observer = Listening()
    with pytest.raises(DataError, match=r"300 rows need about .* MB of memory") as caught:
        run(spec_of(data={**DATA, "exclude": ["leak"]}), workplace, observer, job_id="job_big")

    assert "memory_mb" in caught.value.hint
    report = DataReports(workplace.registry.artifact_uri).read("job_big")
    assert all(finding.evidence.endswith("(in 200 evenly spaced rows of 300)") for finding in report.findings)
    assert "200 evenly spaced rows of 300" in report.warnings[0]
    assert len(pd.read_parquet(report.snapshot)) == 300
    assert workplace.registry.find_by_job("toy", "job_big") is None
    assert observer.figures["load/rows"] == 300
    assert observer.shares == sorted(observer.shares)
