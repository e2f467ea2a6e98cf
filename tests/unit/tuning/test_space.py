"""The space of a search, and what the searchers make of it."""

from __future__ import annotations

from typing import Any

import pytest

from training.result import TrialRow
from training.spec import Choice, FloatRange, IntRange
from training.tuning.importances import importances
from training.tuning.objective import Constraint, Goal, pareto_front
from training.tuning.proposers import make_proposer
from training.tuning.space import Space
from training.tuning.stops import expected_gain

DEPTH = IntRange(type="int", low=2, high=6, step=2)
RATE = FloatRange(type="float", low=0.01, high=1.0, log=True)
KIND = Choice(type="choice", values=["a", "b", [1, 2]])
LEAVES = IntRange(type="int", low=4, high=8, step=4, when={"kind": ["b"]})
SPACE = Space({"kind": KIND, "depth": DEPTH, "leaves": LEAVES}, {"kind": "a", "depth": 5, "leaves": 4})
GOAL = Goal(("roc_auc",))


def row(number: int, params: dict[str, Any], status: str = "COMPLETE", **values: float) -> TrialRow:
    return TrialRow(number=number, status=status, origin="search", params=params, values=values)


def quality(config: dict[str, Any]) -> float:
    """Best at 0.1 and 0.3."""
    return 1.0 - abs(config["rate"] - 0.1) - abs(config["share"] - 0.3)


def test_a_grid_has_each_combination_once_and_leaves_out_what_does_not_go_together() -> None:
    grid = list(SPACE.grid())

    assert len(grid) == 3 + 6 + 3
    assert all(("leaves" in point) == (point["kind"] == "b") for point in grid)
    assert {"kind": [1, 2], "depth": 4} in grid
    assert SPACE.grid_size() >= len(grid)


def test_a_configuration_as_a_point() -> None:
    assert SPACE.as_point({}) == {"kind": 0, "depth": 6}  # 5 is between two steps
    assert SPACE.as_point({"kind": [1, 2], "depth": 100}) == {"kind": 2, "depth": 6}
    assert SPACE.as_point({"kind": "unknown"}) is None
    assert SPACE.unit_point({"kind": "b", "depth": 2, "leaves": 8}) == [0.5, 0.0, 1.0]


def test_configurations_of_another_study_must_lie_in_the_space() -> None:
    assert SPACE.fits({"kind": "b", "depth": 4, "leaves": 8})
    assert not SPACE.fits({"kind": "b", "depth": 4})
    assert not SPACE.fits({"kind": "a", "depth": 4, "leaves": 8})
    assert not SPACE.fits({"kind": "a", "depth": 40})


@pytest.mark.parametrize("searcher", ["tpe", "cmaes", "random", "hyperopt"])
def test_the_same_trials_give_the_same_proposals_and_the_next_ones_are_better(searcher: Any) -> None:
    space = Space({"rate": RATE, "share": FloatRange(type="float", low=0.0, high=1.0)}, {"rate": 0.5})

    def search(seed: int) -> list[dict[str, Any]]:
        proposer = make_proposer(searcher, space, GOAL, seed)
        proposer.learn(row(0, {}, roc_auc=0.5))
        found = []
        for number in range(1, 60):
            config = proposer.propose(number)
            assert config is not None
            found.append(config)
            if number % 7 == 0:
                proposer.learn(row(number, config, "FAILED"))
            elif number % 5 == 0:
                proposer.learn(row(number, config, "STOPPED"))
            else:
                proposer.learn(row(number, config, roc_auc=quality(config)))
        return found

    first = search(3)
    assert first == search(3)
    assert first != search(4)
    assert all(space.fits(config) for config in first)
    if searcher != "random":
        late, early = first[-20:], first[:20]
        assert sum(map(quality, late)) > sum(map(quality, early))


def test_a_grid_leaves_out_what_was_tried_before_its_process_died() -> None:
    proposer = make_proposer("grid", SPACE, GOAL, 0)
    points = list(SPACE.grid())
    proposer.learn(row(1, points[0], roc_auc=0.5))

    proposed = [proposer.propose(number) for number in range(len(points))]

    assert proposed == [*points[1:], None]


def test_conditional_parameters_are_proposed_only_where_they_count() -> None:
    proposer = make_proposer("tpe", SPACE, GOAL, 0)
    for number in range(30):
        config = proposer.propose(number)
        assert config is not None
        assert SPACE.fits(config)
        proposer.learn(row(number, config, roc_auc=0.9 if config["kind"] == "b" else 0.5))


def test_bounds_come_before_the_objective() -> None:
    goal = Goal(("roc_auc", "predict_ms"), (Constraint.parse("ece <= 0.05"), Constraint.parse("accuracy>=0.5")))

    kept = {"roc_auc": 0.7, "predict_ms": 1.0, "ece": 0.01, "accuracy": 0.9}
    broken = kept | {"roc_auc": 0.9, "ece": 0.08}

    assert goal.rank(kept) > goal.rank(broken) > goal.rank(broken | {"accuracy": 0.1})
    assert goal.violation(broken) == pytest.approx(0.03)
    assert goal.gains(kept) == (0.7, -1.0)
    assert goal.violation({"roc_auc": 0.9}) == float("inf")


def test_the_front_holds_what_nothing_beats() -> None:
    assert pareto_front([(1.0, 0.0), (0.5, 0.5), (0.4, 0.5), (0.0, 1.0), (1.0, 0.0)]) == [0, 1, 3, 4]
    assert pareto_front([]) == []


def test_the_parameter_that_matters_is_found() -> None:
    space = Space({"rate": RATE, "share": FloatRange(type="float", low=0.0, high=1.0)}, {})
    proposer = make_proposer("random", space, GOAL, 0)
    rows = []
    for number in range(40):
        config = proposer.propose(number)
        assert config is not None
        rows.append(row(number, config, roc_auc=config["share"]))

    shares = importances(space, GOAL, rows, seed=0)

    assert next(iter(shares)) == "share"
    assert shares["share"] > 0.8
    assert importances(space, GOAL, rows[:3], seed=0) == {}


def test_the_gain_to_expect_falls_as_the_space_is_known() -> None:
    space = Space({"share": FloatRange(type="float", low=0.0, high=1.0)}, {})

    def known(count: int) -> list[TrialRow]:
        places = [place / (count - 1) for place in range(count)]
        return [row(n, {"share": share}, roc_auc=0.8 - 0.1 * (share - 0.4) ** 2) for n, share in enumerate(places)]

    assert expected_gain(space, GOAL, known(10), seed=0) == float("inf")
    assert expected_gain(space, GOAL, known(40), seed=0) < 1e-3
