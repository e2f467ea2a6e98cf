"""Several labels of one row become one."""

from __future__ import annotations

import numpy as np

from training.active_learning.agreement import Vote, dawid_skene, majority


def votes(said: dict[str, dict[str, str | float]]) -> list[Vote]:
    return [Vote(row, who, label) for row, labels in said.items() for who, label in labels.items()]


def test_most_votes_win_and_a_tie_is_no_label() -> None:
    found = majority(votes({"1": {"a": "x", "b": "x", "c": "y"}, "2": {"a": "x", "b": "y"}, "3": {"a": "y"}}))
    assert found == {"1": "x", "2": None, "3": "y"}


def test_numbers_have_a_median() -> None:
    assert majority(votes({"1": {"a": 1.0, "b": 5.0, "c": 2.0}, "2": {"a": 1.0, "b": 2.0}})) == {"1": 2.0, "2": 1.5}


def test_dawid_skene_is_better_than_the_majority_of_careless_labellers() -> None:
    rng = np.random.default_rng(3)
    truth = rng.choice(["x", "y", "z"], 300)
    right = {"expert": 0.95, "a": 0.5, "b": 0.5, "c": 0.5}
    said = {
        str(row): {
            who: str(label) if rng.random() < share else str(rng.choice(["x", "y", "z"]))
            for who, share in right.items()
        }
        for row, label in enumerate(truth)
    }

    def share(found: dict[str, str | float | None]) -> float:
        return float(np.mean([found[str(row)] == label for row, label in enumerate(truth)]))

    assert share(dawid_skene(votes(said), ["x", "y", "z"])) > share(majority(votes(said))) + 0.05


def test_dawid_skene_of_nothing_and_of_a_tie() -> None:
    assert dawid_skene([], ["x", "y"]) == {}
    assert dawid_skene(votes({"1": {"a": "x", "b": "y"}}), ["x", "y"]) == {"1": None}
