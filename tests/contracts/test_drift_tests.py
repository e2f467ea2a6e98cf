"""What every drift test promises."""

from __future__ import annotations

import typing

import numpy as np
import pytest

from training.monitoring.drift import DRIFT_TESTS, CategoricalSample, DriftTest, NumericSample, Sample
from training.monitoring.spec import DriftTestName

CASES = [(test, kind) for test in DRIFT_TESTS.values() for kind in test.kinds]
IDS = [f"{test.name}-{kind}" for test, kind in CASES]
every = pytest.mark.parametrize(("test", "kind"), CASES, ids=IDS)


def sample(kind: str, rows: int, seed: int, shift: float = 0.0) -> Sample:
    values = np.random.default_rng(seed).normal(size=rows) + shift
    if kind == "numeric":
        return NumericSample.of(values)
    labels, counts = np.unique(np.digitize(values, [-1.0, -0.3, 0.3, 1.0]), return_counts=True)
    return CategoricalSample({str(label): int(count) for label, count in zip(labels, counts, strict=True)})


def test_the_spec_knows_every_test() -> None:
    assert set(typing.get_args(DriftTestName)) == set(DRIFT_TESTS)


@every
def test_equal_samples_have_no_effect(test: DriftTest, kind: str) -> None:
    found = test.measure(sample(kind, 2000, 0), sample(kind, 2000, 0))
    assert found.effect == pytest.approx(0, abs=1e-9)
    assert found.excess == 0
    assert found.p_value > 0.9


@every
def test_the_effect_grows_with_the_shift_and_not_with_the_rows(test: DriftTest, kind: str) -> None:
    reference = sample(kind, 20_000, 0)
    effects = [test.measure(reference, sample(kind, 20_000, 1, shift)).effect for shift in (0.0, 0.1, 0.25, 0.5, 1.0)]
    assert effects == sorted(effects)
    few, many = (test.measure(reference, sample(kind, rows, 2, 0.5)).excess for rows in (2_000, 50_000))
    assert few == pytest.approx(many, rel=0.3)


@every
def test_p_values_are_valid_without_drift_and_small_with_it(test: DriftTest, kind: str) -> None:
    p_values = [
        test.measure(sample(kind, 3000, 2 * seed), sample(kind, 500, 2 * seed + 1)).p_value for seed in range(150)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.11
    assert 0.3 < np.mean(p_values) < 0.75
    assert test.measure(sample(kind, 3000, 0), sample(kind, 500, 1, 0.6)).p_value < 1e-6


@every
def test_noise_is_the_effect_to_expect_without_drift(test: DriftTest, kind: str) -> None:
    found = [test.measure(sample(kind, 3000, 2 * seed), sample(kind, 500, 2 * seed + 1)) for seed in range(60)]
    root_mean_square = np.sqrt(np.mean([measure.effect**2 for measure in found]))
    assert root_mean_square == pytest.approx(found[0].noise, rel=0.3)


@every
def test_samples_of_one_value_can_be_compared(test: DriftTest, kind: str) -> None:
    same: Sample = NumericSample.of(np.full(200, 3.0)) if kind == "numeric" else CategoricalSample({"a": 200})
    other: Sample = NumericSample.of(np.full(200, 4.0)) if kind == "numeric" else CategoricalSample({"b": 200})
    assert test.measure(same, same).effect == 0
    assert test.measure(same, other).p_value < 1e-6
    one: Sample = NumericSample.of(np.array([3.0])) if kind == "numeric" else CategoricalSample({"a": 1})
    assert 0 <= test.measure(same, one).p_value <= 1


@every
def test_a_sample_of_the_other_kind_is_refused(test: DriftTest, kind: str) -> None:
    other = sample("categorical" if kind == "numeric" else "numeric", 100, 0)
    with pytest.raises(TypeError):
        test.measure(sample(kind, 100, 0), other)
