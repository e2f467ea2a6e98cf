"""Who takes over from whom in a population, and with which values."""

from __future__ import annotations

import numpy as np

from training.spec import TorchSpec
from training.tuning.default_spaces import default_space
from training.tuning.population import Member, explored, successions
from training.tuning.space import Space
from training.tuning.work import TrialOutcome

WHOLE = default_space(TorchSpec(), "binary")
SPACE = Space({name: WHOLE.parameters[name] for name in ("learning_rate", "dropout", "d_block")}, WHOLE.defaults)


def member(number: int, loss: float) -> Member:
    one = Member(number, {"learning_rate": 1e-3})
    one.trained(TrialOutcome({"roc_auc": 0.5}, {}, [(1, 1.0), (2, loss)], "validation/log_loss", 0.0))
    return one


def test_the_worst_quarter_goes_on_from_the_best_quarter() -> None:
    population = [member(number, loss=float(number)) for number in range(1, 9)]

    found = successions(population, np.random.default_rng(0))

    assert {worse.number for worse, _ in found} == {7, 8}
    assert {better.number for _, better in found} <= {1, 2}


def test_the_default_configuration_is_never_replaced() -> None:
    population = [member(0, loss=9.0), member(1, loss=1.0), member(2, loss=2.0), member(3, loss=3.0)]

    assert successions(population, np.random.default_rng(0)) == []


def test_values_of_a_copy_are_near_and_inside_the_space() -> None:
    generator = np.random.default_rng(0)
    start = {"learning_rate": 4.9e-3, "dropout": 0.2, "d_block": 256}
    found = [explored(SPACE, start, generator) for _ in range(200)]

    assert all(SPACE.fits(config) for config in found)
    assert all(config != start for config in found)
    near = [config for config in found if abs(config["dropout"] - 0.2) < 0.05]
    assert len(near) > 100
    # what a configuration leaves open is changed from the family's default
    assert SPACE.fits(explored(SPACE, {}, generator))


def test_a_curve_is_that_of_all_stages() -> None:
    one = member(1, loss=0.5)
    one.trained(TrialOutcome({"roc_auc": 0.6}, {}, [(3, 0.4)], "validation/log_loss", 0.0))

    assert one.outcome is not None
    assert [step for step, _ in one.outcome.curve] == [1, 2, 3]
    assert one.schedule == [{"learning_rate": 1e-3}] * 2
    assert one.score() == -0.4
