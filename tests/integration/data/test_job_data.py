"""The report about a job's data: over HTTP, as a page, and where a check has stopped the job."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.data.profiling import DataReport, DataReports, page
from training.errors import DataError
from training.events import SilentObserver
from training.pipeline import Workplace, run
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


def spec_of(**parts) -> TrainSpec:
    data = {"source": {"type": "file", "uri": "rows.parquet"}, "target": "y"}
    return parse_spec(TrainSpec, {"name": "toy", "data": data, **parts})


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
