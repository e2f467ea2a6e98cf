"""A million predictions into a running service, and its report."""

from __future__ import annotations

import io

import numpy as np
from httpx import Client

from benchmarks.monitoring import BATCH_ROWS, FEATURES, PARQUET, STREAM_ROWS, wide_batch
from benchmarks.report import Row, timed_s
from benchmarks.service import running_service

MODEL_ROWS = 1_500


def model_rows(generator: np.random.Generator) -> list[dict[str, object]]:
    """Rows for a model with as many features as the stream has."""
    table = generator.normal(size=(MODEL_ROWS, FEATURES))
    chance = 1 / (1 + np.exp(-table[:, 0]))
    came = generator.random(MODEL_ROWS) < chance
    return [
        {**{f"x{n}": float(value) for n, value in enumerate(row)}, "y": "yes" if yes else "no"}
        for row, yes in zip(table, came, strict=True)
    ]


def send_all(http: Client, bodies: list[bytes]) -> None:
    """One batch after the other, as one caller would."""
    for body in bodies:
        answer = http.post("/api/v1/monitors/wide/predictions", content=body, headers={"Content-Type": PARQUET})
        answer.raise_for_status()


def report(http: Client) -> None:
    """Waits until the report is made."""
    while http.get("/api/v1/monitors/wide/report", params={"wait_s": 60}).raise_for_status().status_code != 200:
        continue


def rows() -> list[Row]:
    """Inflow and report over HTTP."""
    generator, bodies = np.random.default_rng(0), []
    for number in range(STREAM_ROWS // BATCH_ROWS):
        body = io.BytesIO()
        wide_batch(generator, number).to_parquet(body, index=False)
        bodies.append(body.getvalue())
    with running_service() as service:
        source = {"type": "inline", "rows": model_rows(generator)}
        service.run(
            name="wide", data={"source": source, "target": "y", "positive_class": "yes"}, split={"test_size": 0.5},
            model={"family": "sklearn", "estimator": "logistic_regression"},
        )  # fmt: skip
        spec = {"name": "wide", "model": {"name": "wide"}, "window": {"rows": BATCH_ROWS}}
        service.http.put("/api/v1/monitors/wide", json=spec).raise_for_status()
        taken_s = timed_s(lambda: send_all(service.http, bodies))
        report_s = timed_s(lambda: report(service.http))
    rate = STREAM_ROWS / taken_s
    return [
        Row("over HTTP: seconds to take 50,000 predictions (Parquet, 20 features, on disk)", 50_000 / rate, None, "s",
            1.0, f"{rate:,.0f} rows/s over {STREAM_ROWS:,}, one caller"),
        Row("over HTTP: report on 1,000,000 predictions, from asking to the answer", report_s, None, "s", 15),
    ]  # fmt: skip
