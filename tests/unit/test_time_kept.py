"""What a job keeps of its time for all that comes after the fit."""

from __future__ import annotations

import time
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from training.data import Dataset
from training.pipeline.job import Job
from training.pipeline.prepare import check, partition
from training.pipeline.time_kept import RestOfJob, fit_deadline
from training.spec import TrainSpec, parse_spec

ROWS = 2000


def rest_of(budget_s: float | None, task: str = "binary", **evaluation: Any) -> RestOfJob:
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    y: Any = x if task == "regression" else np.digitize(x, [0.0] if task == "binary" else [-0.5, 0.5]).astype(str)
    frame = pd.DataFrame({"x": x + rng.normal(size=ROWS), "y": y})
    spec = parse_spec(TrainSpec, {
        "name": "toy", "data": {"source": {"type": "inline", "rows": [{"a": 1}]}, "target": "y"},
        "evaluation": evaluation,
    })  # fmt: skip
    checked = check(Dataset(frame, "0" * 64, "here"), spec)
    deadline = None if budget_s is None else time.monotonic() + budget_s
    # neither workplace nor tracker is asked for anything
    job = Job("job_1", spec, *cast("tuple[Any, Any, Any]", (None, None, None)), deadline)
    return RestOfJob(job, checked, partition(checked, spec))


def test_a_job_without_a_budget_keeps_nothing() -> None:
    rest = rest_of(None)
    assert rest(10, 1.0) == 0.0
    assert fit_deadline(rest.job, 400) is None


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_more_members_and_slower_ones_keep_more(task: str) -> None:
    rest = rest_of(60, task)
    few, many, slow = rest(2, 1e-5), rest(20, 1e-5), rest(20, 1e-2)
    assert 0 < few < many < slow
    assert slow - many > 1e-2 * len(rest.parts.test) * 0.9, "the test rows have to be scored"


def test_without_intervals_members_cost_no_more_than_their_files() -> None:
    rest = rest_of(60, bootstrap_samples=0)
    assert rest(20, 0.0) == pytest.approx(20 * 0.1)


def test_the_fit_ends_before_the_job() -> None:
    rest = rest_of(60)
    assert rest.job.deadline is not None
    ends = fit_deadline(rest.job, 400)
    assert ends is not None
    assert time.monotonic() < ends < rest.job.deadline
