"""The gate's verdict over many cases whose truth is known, and its rules about cost and limits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.data.table import Rows
from training.mts_scoring.model import Feature, ScoringModel
from training.mts_scoring.predictor import Predictor
from training.registry.comparison import Comparison
from training.registry.gate import judge
from training.registry.limits import broken, measured
from training.result import GateVerdict
from training.spec import TrainSpec, parse_spec

COLUMNS = ["a", "b", "c", "d"]
WEIGHTS = np.array([1.0, -0.5, 0.25, 0.0])


def spec_of(**promotion: object) -> TrainSpec:
    return parse_spec(TrainSpec, {
        "name": "m", "data": {"source": {"type": "inline", "rows": [{"y": 1}]}, "target": "y"}, "promotion": promotion,
        "evaluation": {"slices": ["d"]},
    })  # fmt: skip


def draw(rows: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = generator.normal(size=(rows, 4))
    return X, (X @ WEIGHTS + generator.logistic(size=rows) > 0.8).astype(np.int64)


def retrained(rows: int, generator: np.random.Generator, *, noise: float = 0.0) -> np.ndarray:
    """The weights of a linear model of a fresh sample; `noise` is the share of labels that are wrong."""
    X, y = draw(rows, generator)
    y = np.where(generator.random(rows) < noise, 1 - y, y)
    return np.linalg.lstsq(X, y - y.mean(), rcond=None)[0]


def compared(new: np.ndarray, old: np.ndarray, rows: int, generator: np.random.Generator) -> Comparison:
    X, y = draw(rows, generator)
    scores = [np.column_stack([1 - s, s]) for s in (1 / (1 + np.exp(-X @ w)) for w in (new, old))]
    frame = pd.DataFrame(X, columns=COLUMNS)
    return Comparison("binary", "roc_auc", Rows(frame, y, None), *scores, (0.5, 0.5), np.ones(rows, bool))


def verdict(comparison: Comparison, spec: TrainSpec, **facts: object) -> GateVerdict:
    return judge(comparison, "1", comparison.rows.frame, spec, {"metric": "roc_auc", **facts})


def test_retraining_on_the_same_distribution_promotes_in_at_most_5_percent_of_200_cases() -> None:
    generator = np.random.default_rng(20260101)
    spec = spec_of()
    champion = retrained(2000, generator)
    promotions = 0
    for _ in range(200):
        challenger = retrained(2000, generator)
        if verdict(compared(challenger, champion, 500, generator), spec).decision == "promote":
            champion = challenger
            promotions += 1
    assert promotions <= 10


def test_what_is_really_better_is_promoted() -> None:
    generator = np.random.default_rng(1)
    promoted = sum(
        verdict(compared(retrained(2000, generator), retrained(20, generator, noise=0.4), 2000, generator),
                spec_of()).decision == "promote"
        for _ in range(20)
    )  # fmt: skip
    assert promoted >= 12


@dataclass
class Sleeper(Predictor):
    """Scores as told, and takes its time."""

    kind = "sleeper"
    requirements = ()
    pause_s: float

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        time.sleep(self.pause_s)
        return np.full((len(frame), 2), 0.5)

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Sleeper:
        raise NotImplementedError


def model(pause_s: float) -> ScoringModel:
    features = tuple(Feature(name, "numeric") for name in COLUMNS)
    return ScoringModel(Sleeper(pause_s), "binary", ("no", "yes"), features, "y", 0.5)


@pytest.mark.parametrize(
    ("champion_s", "rows", "decision", "words"),
    [
        (0.004, 4000, "promote", "and cheaper"),
        (0.0, 4000, "keep", "that is not 50% less"),
        (0.004, 40, "keep", "that it is not worse by more than 0.005 is not shown"),
    ],
)
def test_what_is_not_worse_and_cheaper_is_promoted_where_the_spec_says_so(
    champion_s: float, rows: int, decision: str, words: str
) -> None:
    generator = np.random.default_rng(2)
    weights = retrained(2000, generator)
    other = weights + generator.normal(0, 0.002, 4)
    pair = compared(weights, other, rows, generator)
    pair = Comparison(**{**vars(pair), "champion": model(champion_s)})
    spec = spec_of(cheaper_by=0.5)
    facts = measured(model(0.0), pair.rows, spec.promotion)
    found = verdict(pair, spec, facts=facts)
    assert found.decision == decision, found.reasons
    assert any(words in reason for reason in found.reasons)
    assert found.facts["champion_latency_ms"] >= champion_s * 1000


def test_limits_are_held_and_named() -> None:
    generator = np.random.default_rng(3)
    X, y = draw(200, generator)
    rows = Rows(pd.DataFrame(X, columns=COLUMNS), y, None)
    wanted = spec_of(max_ece=0.01, max_latency_ms=1.0).promotion
    facts = measured(model(0.003), rows, wanted)
    reasons = broken(facts, wanted)
    assert [reason.split(",")[0][:15] for reason in reasons] == ["the calibration", "a single row ta"]
    assert broken(facts, spec_of().promotion) == []


def test_a_better_version_that_breaks_a_limit_stays_out() -> None:
    generator = np.random.default_rng(4)
    pair = compared(retrained(5000, generator), np.array([-1.0, 0, 0, 0]), 2000, generator)
    assert verdict(pair, spec_of()).decision == "promote"
    found = verdict(pair, spec_of(), failed_checks=["too slow"])
    assert (found.decision, found.reasons[-1]) == ("keep", "too slow")


def test_the_verdict_carries_its_numbers() -> None:
    generator = np.random.default_rng(5)
    pair = compared(retrained(2000, generator), retrained(2000, generator), 300, generator)
    found = verdict(pair, spec_of())
    assert (found.method, found.rows, found.metric) == ("DeLong", 300, "roc_auc")
    weighted = Comparison(**{**vars(pair), "rows": Rows(pair.rows.frame, pair.rows.target, np.full(300, 2.0))})
    assert verdict(weighted, spec_of()).method == "paired bootstrap"


def test_a_slice_that_is_worse_by_more_than_allowed_stops_it() -> None:
    generator = np.random.default_rng(6)
    pair = compared(retrained(5000, generator), np.array([-1.0, 0, 0, 0]), 2000, generator)
    frame = pair.rows.frame.assign(d=np.arange(2000) % 2)
    worse = np.where(frame["d"].to_numpy()[:, None] == 1, pair.old[:, ::-1] * 0 + generator.random((2000, 1)), pair.new)
    better_there = np.where(frame["d"].to_numpy()[:, None] == 1, pair.new, pair.old)
    tilted = Comparison(**{**vars(pair), "new": worse, "old": better_there})
    found = judge(tilted, "1", frame, spec_of(max_slice_drop=0.02), {"metric": "roc_auc"})
    assert found.decision == "keep"
    assert "where d is 1" in found.reasons[-1]
