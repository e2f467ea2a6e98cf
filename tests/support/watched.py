"""A watched model with its stream, for tests: scores and outcomes whose truth is known."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from training.monitoring.inflow import Receiver
from training.monitoring.profile import ReferenceProfile
from training.monitoring.reading import stored_column
from training.monitoring.schema import FEATURE, MonitoredSchema
from training.monitoring.spec import MonitorSpec
from training.monitoring.store import StreamStore
from training.mts_scoring.columns import Feature

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"
FEATURES = (Feature("income", "numeric"), Feature("age", "numeric"), Feature("region", "categorical"))
BINARY = MonitoredSchema("binary", ("no", "yes"), FEATURES, "default", 0.5)
REGRESSION = MonitoredSchema("regression", (), FEATURES, "loss", None)


def people(rows: int, seed: int, *, shift: float = 0.0, task: str = "binary") -> pd.DataFrame:
    """Rows with a score that is a true probability (or expected value), and what came of them."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "income": generator.normal(size=rows) + shift,
        "age": generator.uniform(18, 90, rows),
        "region": generator.choice(["north", "south", "öst"], rows, p=[0.5, 0.3, 0.2]),
    })  # fmt: skip
    signal = 1.5 * frame["income"] + 0.02 * (frame["age"] - 50) + (frame["region"] == "south")
    if task == "regression":
        frame["score"] = signal
        frame["actual"] = signal + generator.normal(size=rows) * (0.5 + 0.5 * np.abs(frame["income"]))
    else:
        frame["score"] = 1 / (1 + np.exp(-signal))
        frame["actual"] = (generator.random(rows) < frame["score"]).astype(float)
    return frame


def profile_of(frame: pd.DataFrame, schema: MonitoredSchema = BINARY) -> ReferenceProfile:
    columns = {FEATURE + f.name: stored_column(frame[f.name].tolist(), f.kind, f.name)[0] for f in schema.features}
    columns |= {"score.0": pa.array(frame["score"]), "actual": pa.array(frame["actual"])}
    return ReferenceProfile(schema, pa.table(columns), len(frame), {"income": 1.0, "age": 0.2, "region": 0.3})


def receiver(schema: MonitoredSchema = BINARY, now: datetime = NOW) -> Receiver:
    return Receiver(schema, "1", lambda version: version in {"1", "2"}, now)


@dataclass
class Feed:
    """Sends windows of rows into a store, as a caller would."""

    store: StreamStore
    schema: MonitoredSchema = BINARY
    sent: int = 0

    def predictions(self, frame: pd.DataFrame, *, start: datetime = START, every_s: float = 60.0) -> pd.DataFrame:
        """Keeps the rows; answers them with their ids."""
        rows = frame.assign(
            id=[f"p{self.sent + number}" for number in range(len(frame))],
            time=[start + timedelta(seconds=every_s * number) for number in range(len(frame))],
        )
        self.sent += len(rows)
        body = io.BytesIO()
        rows.drop(columns="actual").to_parquet(body)
        batch = receiver(self.schema).predictions(body.getvalue(), PARQUET)
        self.store.append("predictions", batch.table, NOW)
        return rows

    def outcomes(self, rows: pd.DataFrame, *, received: datetime = NOW) -> None:
        classes = self.schema.classes
        actual = [classes[int(value)] if classes else value for value in rows["actual"]]
        lines = [json.dumps({"id": row, "actual": value}) for row, value in zip(rows["id"], actual, strict=True)]
        batch = receiver(self.schema).outcomes("\n".join(lines).encode(), NDJSON)
        self.store.append("outcomes", batch.table, received)


def monitor(**changes: Any) -> MonitorSpec:
    raw = {"name": "people", "model": {"name": "people"}, "window": {"rows": 1000}}
    return MonitorSpec.model_validate(raw | changes)


def lines(*rows: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A prediction that is right in every respect."""
    features = {"income": 1.5, "age": 40, "region": "north"}
    base = {"id": f"r{number}", "time": "2026-01-31T12:00:00Z", "features": features, "scores": 0.3}
    return base | changes
