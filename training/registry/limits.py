"""What a version must keep to, whoever the champion is: calibration and the time of a single row."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pandas as pd

from training.data.table import Rows
from training.evaluation import point_metrics
from training.mts_scoring.model import ScoringModel
from training.spec import PromotionSpec

WARM_UP, TIMED = 5, 31


def latency_ms(model: ScoringModel, frame: pd.DataFrame) -> float:
    """Median time in which the model scores one raw row, in milliseconds."""
    rows = [frame.iloc[[index % len(frame)]] for index in range(WARM_UP + TIMED)]
    spent = []
    for row in rows:
        started = time.perf_counter()
        model.scores(row)
        spent.append(time.perf_counter() - started)
    return 1000.0 * float(np.median(spent[WARM_UP:]))


def measured(model: ScoringModel, test: Rows, wanted: PromotionSpec) -> dict[str, float]:
    """What the limits of the spec are about; nothing that no limit asks for."""
    facts = {}
    if wanted.max_latency_ms is not None or wanted.cheaper_by is not None:
        facts["latency_ms"] = latency_ms(model, test.frame)
    if wanted.max_ece is not None and model.task != "regression":
        facts |= point_metrics(model.task, test.target, model.scores(test.frame), test.weight, ("ece",),
                               threshold=model.threshold)  # fmt: skip
    return facts


def broken(facts: Mapping[str, float], wanted: PromotionSpec) -> list[str]:
    """The limits that are not kept, as sentences."""
    limits = (
        ("ece", wanted.max_ece, "the calibration error is {value:.4f}, above max_ece {limit:g}"),
        ("latency_ms", wanted.max_latency_ms, "a single row takes {value:.2f} ms, above max_latency_ms {limit:g}"),
    )
    return [
        text.format(value=facts[name], limit=limit)
        for name, limit, text in limits
        if limit is not None and name in facts and facts[name] > limit
    ]
