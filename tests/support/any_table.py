"""Tables as the world has them: odd types, gaps, names, sizes, encodings; and specs that train on them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

Values = Callable[[np.random.Generator, int], Any]

COLUMNS: dict[str, Values] = {
    "normal": lambda draw, rows: draw.normal(size=rows),
    "whole": lambda draw, rows: draw.integers(-5, 50, rows),
    "long whole": lambda draw, rows: draw.integers(2**60, 2**62, rows),
    "huge": lambda draw, rows: draw.normal(size=rows) * 1e300,
    "tiny": lambda draw, rows: draw.normal(size=rows) * 1e-300,
    "infinite": lambda draw, rows: np.where(draw.random(rows) < 0.2, np.inf, draw.normal(size=rows)),
    "yes or no": lambda draw, rows: draw.random(rows) < 0.3,
    "few texts": lambda draw, rows: draw.choice(["a", "b", "ö", "", " ", "NaN", "null"], rows),
    "own text each": lambda draw, rows: [f"id-{number}" for number in range(rows)],
    "any text": lambda draw, rows: ["".join(chr(c) for c in draw.integers(33, 0x2FFF, 5)) for _ in range(rows)],
    "long text": lambda draw, rows: ["x" * 3000 + str(number % 3) for number in range(rows)],
    "numbers and text": lambda draw, rows: [str(number) if number % 3 else "about" for number in range(rows)],
    "constant": lambda draw, rows: [7] * rows,
    "nothing": lambda draw, rows: [None] * rows,
    "times": lambda draw, rows: pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 10**7, rows), unit="s"),
    "days": lambda draw, rows: [f"{year}-02-1{year % 9}" for year in draw.integers(1600, 2500, rows)],
    "decimal commas": lambda draw, rows: [f"{number},5" for number in range(rows)],
}
TARGETS: dict[str, Values] = {
    "two texts": lambda draw, rows: draw.choice(["good", "bad"], rows),
    "yes or no": lambda draw, rows: draw.random(rows) < 0.4,
    "zero or one": lambda draw, rows: draw.integers(0, 2, rows),
    "three classes": lambda draw, rows: draw.choice(["a", "b", "c"], rows),
    "a rare class": lambda draw, rows: ["rare" if number == 0 else "common" for number in range(rows)],
    "many classes": lambda draw, rows: draw.choice([f"c{number}" for number in range(40)], rows),
    "values": lambda draw, rows: draw.normal(size=rows),
    "huge values": lambda draw, rows: draw.normal(size=rows) * 1e200,
    "infinite values": COLUMNS["infinite"],
    "constant": COLUMNS["constant"],
    "nothing": COLUMNS["nothing"],
    "own text each": COLUMNS["own text each"],
    "times": COLUMNS["times"],
}
NAMES = st.sampled_from(["a", "b", "A", "a b", "a.b", "ä", "c" * 120, "target", "prediction", "0", "x,y", "[z]", "__w"])
MODELS: tuple[dict[str, Any], ...] = (
    {"family": "sklearn", "estimator": "logistic_regression"},
    {"family": "sklearn", "estimator": "ridge"},
    {"family": "sklearn", "estimator": "random_forest", "params": {"n_estimators": 3}},
    {"family": "sklearn", "estimator": "hist_gradient_boosting", "params": {"max_iter": 3}},
    {"family": "xgboost", "params": {"n_estimators": 3}},
    {"family": "torch", "architecture": "mlp", "params": {"max_epochs": 1, "n_seeds": 1, "hidden_sizes": [4]}},
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")


@dataclass(frozen=True)
class AnyTable:
    """A file, its content, and a spec that names it."""

    name: str
    content: bytes
    spec: dict[str, Any]


@st.composite
def any_table(draw: st.DrawFn) -> AnyTable:
    """A file of rows with a target, and how to train on it."""
    rows = draw(st.sampled_from([0, 1, 2, 9, 40, 80, 150]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    frame = pd.DataFrame({name: list(COLUMNS[draw(st.sampled_from(list(COLUMNS)))](random, rows)) for name in names})
    frame["y"] = list(TARGETS[draw(st.sampled_from(list(TARGETS)))](random, rows))
    gaps = {name: draw(st.sampled_from([0.0, 0.0, 0.1, 0.9])) for name in frame.columns}
    for name, share in gaps.items():
        frame[name] = frame[name].astype(object).where(random.random(rows) >= share, None)
    kind = draw(st.sampled_from(["csv", "csv", "jsonl", "parquet"]))
    task = draw(st.sampled_from(["auto", "auto", "binary", "multiclass", "regression"]))
    spec = {
        "name": "any", "model": draw(st.sampled_from(MODELS)), "evaluation": {"bootstrap_samples": 10},
        "data": {"source": {"type": "file", "uri": f"any.{kind}"}, "target": "y", "task": task},
    }  # fmt: skip
    return AnyTable(f"any.{kind}", _written(frame, kind, draw(st.sampled_from(ENCODINGS))), spec)


def _written(frame: pd.DataFrame, kind: str, encoding: str) -> bytes:
    if kind == "csv":
        return frame.to_csv(index=False).encode(encoding, "replace")
    if kind == "jsonl":
        return frame.to_json(orient="records", lines=True, date_format="iso").encode()
    content = io.BytesIO()
    # a column of one kind keeps its type, a mixed one becomes text
    frame.convert_dtypes().astype({name: "string" for name in frame if frame[name].map(type).nunique() > 2}).to_parquet(
        content
    )
    return content.getvalue()
