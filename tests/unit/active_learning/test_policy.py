"""What a pool needs next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from training.active_learning.policy import Query, Situation, Train, next_step, obstacle
from training.active_learning.spec import Counts, PoolSpec, example

START = Situation(
    queried=False, busy=False, has_model=False, refresh=False, left=0, test_waiting=0, test_labelled=0,
    train_labelled=0, trained_labels=0, queued=0, queued_random=0, spent=0.0,
)  # fmt: skip
LABELLED = replace(
    START, queried=True, left=500, test_labelled=100, train_labelled=50, by_class={"good": 30, "bad": 20},
    test_by_class={"good": 70, "bad": 30},
)  # fmt: skip
LATER = replace(LABELLED, has_model=True, trained_labels=50, queued=30)


def plan(**changes: Any) -> PoolSpec:
    return PoolSpec.model_validate(example() | changes)


def test_first_rows_of_every_part() -> None:
    assert next_step(plan(), START) == Query(Counts(test=100, active=40, random=10))
    assert next_step(plan(control_share=0), START) == Query(Counts(test=100, active=50, random=0))


@pytest.mark.parametrize(
    ("changes", "trains"),
    [
        ({}, True),
        ({"train_labelled": 49}, False),
        ({"test_waiting": 1}, False),
        ({"test_labelled": 5}, False),
        ({"by_class": {"good": 50}}, False),
        ({"test_by_class": {"good": 100}}, False),
        ({"busy": True}, False),
        ({"train_labelled": 20, "left": 0}, True),
    ],
)
def test_the_first_training_waits_for_labels_of_every_kind(changes: dict[str, Any], trains: bool) -> None:
    at = replace(LABELLED, **changes)
    assert (next_step(plan(), at) == Train()) is trains


def test_later_trainings_come_every_n_labels() -> None:
    assert next_step(plan(), replace(LATER, train_labelled=69)) is None
    assert next_step(plan(), replace(LATER, train_labelled=70)) == Train()
    assert next_step(plan(retrain_every=5), replace(LATER, train_labelled=55)) == Train()


def test_a_new_model_replaces_the_rows_that_wait_and_is_measured() -> None:
    found = next_step(plan(), replace(LATER, refresh=True, queued_random=3))
    assert found == Query(Counts(active=32, random=5), replace=True, measure=True)


def test_rows_are_chosen_ahead_and_only_while_there_are_some_and_money() -> None:
    few = replace(LATER, queued=5)
    assert next_step(plan(), few) == Query(Counts(active=28, random=7))
    assert next_step(plan(), replace(few, left=0)) is None
    assert next_step(plan(budget=100), replace(few, spent=100.0)) is None
    last = next_step(plan(budget=100), replace(few, spent=100.0, refresh=True))
    assert last == Query(Counts(), replace=True, measure=True)


def test_what_is_left_of_a_budget_may_pay_for_no_row() -> None:
    few = replace(LATER, queued=5, train_labelled=60)
    assert next_step(plan(budget=100), replace(few, spent=98.0, cheapest=2.0)) == Query(Counts(active=28, random=7))
    assert next_step(plan(budget=100), replace(few, spent=98.0, cheapest=4.0)) == Train()
    assert next_step(plan(budget=100), replace(few, spent=98.0, cheapest=4.0, trained_labels=60)) is None
    assert 0.1 + 0.1 + 0.1 > 0.3  # in the last digit, and yet three times 0.1 are affordable
    assert isinstance(next_step(plan(budget=0.3), replace(few, spent=0.1 + 0.1, cheapest=0.1)), Query)


def test_a_budget_that_ends_before_the_first_training_is_trained_on_all_the_same() -> None:
    few = replace(LABELLED, train_labelled=20, spent=100.0)
    assert next_step(plan(budget=100), few) == Train()
    assert next_step(plan(budget=200), few) != Train()


def test_rows_that_somebody_holds_are_not_there_for_others_but_are_not_over_either() -> None:
    held = replace(LATER, queued=0, held=30)
    assert next_step(plan(), held) == Query(Counts(active=32, random=8))
    last = replace(held, left=0, train_labelled=51)
    assert next_step(plan(), last) is None
    assert next_step(plan(), replace(last, held=0)) == Train()


def test_one_class_keeps_querying_and_says_why() -> None:
    at = replace(LABELLED, by_class={"good": 50})
    assert isinstance(next_step(plan(), at), Query)
    assert "all 50 labels are 'good'" in str(obstacle(plan(), at))


@pytest.mark.parametrize(
    ("new", "gain", "trains"),
    [
        (1, 0.02, True),
        (19, 0.009, False),
        (199, 0.009, False),
        (200, 0.009, True),
        (0, 0.02, False),
        (19, None, False),
        (20, None, True),
    ],
)
def test_trainings_by_expected_change_come_when_it_is_large_enough(new: int, gain: float | None, trains: bool) -> None:
    at = replace(LATER, train_labelled=50 + new, expected_gain=gain)
    assert (next_step(plan(retrain_gain=0.01), at) == Train()) is trains


def test_the_last_labels_are_trained_on_whatever_they_are_expected_to_bring() -> None:
    at = replace(LATER, train_labelled=51, expected_gain=0.0, left=0, queued=0)
    assert next_step(plan(retrain_gain=0.01), at) == Train()
