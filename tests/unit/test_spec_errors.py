"""What a caller hears of a spec of the wrong shape: field, value and remedy, and no name of our own classes."""

from __future__ import annotations

from typing import Any

import pytest

from training.active_learning.spec import PoolSpec
from training.errors import Problem, SpecError
from training.spec import EvaluateSpec, TrainSpec, parse_spec

ROWS = {"source": {"type": "inline", "rows": [{"x": 1}]}}


def _heard(kind: Any, raw: dict[str, Any]) -> Problem:
    with pytest.raises(SpecError) as caught:
        parse_spec(kind, raw)
    return caught.value.problems[0]


@pytest.mark.parametrize("model", ["german-credit", ["german-credit"], 3, None])
def test_a_model_that_is_no_object_hears_the_fields_of_one(model: Any) -> None:
    problem = _heard(EvaluateSpec, {"model": model, "data": ROWS})
    assert problem.field == "model"
    assert problem.message == "should be an object with the fields name, version, alias"


@pytest.mark.parametrize("version", ["champion", "0", "-1", "1.0", ""])
def test_what_is_no_version_hears_of_numbers_and_of_aliases(version: str) -> None:
    problem = _heard(EvaluateSpec, {"model": {"name": "german-credit", "version": version}, "data": ROWS})
    assert (problem.field, problem.value) == ("model.version", version)
    assert problem.message.startswith("a version is a number from 1 on, such as '3'; an alias, such as 'champion',")


def test_a_version_is_a_number_in_quotes() -> None:
    spec = parse_spec(EvaluateSpec, {"model": {"name": "german-credit", "version": "12"}, "data": ROWS})
    assert spec.model.version == "12"


@pytest.mark.parametrize(
    ("field", "raw", "remedy"),
    [
        ("data.source", {"data": {"source": "rows.csv", "target": "y"}}, "the field type, which says the others"),
        ("split", {"data": ROWS | {"target": "y"}, "split": "random"}, "the fields strategy, "),
        ("model", {"data": ROWS | {"target": "y"}, "model": "xgboost"}, "the field family, which says the others"),
    ],
)
def test_a_part_that_is_no_object_hears_what_it_has(field: str, raw: dict[str, Any], remedy: str) -> None:
    problem = _heard(TrainSpec, {"name": "a"} | raw)
    assert problem.field == field
    assert problem.message.startswith(f"should be an object with {remedy}")


@pytest.mark.parametrize(
    ("data", "field", "value", "message"),
    [
        ({"classes": ["no"]}, "data.classes", "['no']", "name the labels that may be given, at least two"),
        ({"classes": ["a", "a"]}, "data.classes", "['a', 'a']", "a label is given twice"),
        (
            {"task": "regression", "classes": ["a", "b"]},
            "data.classes",
            "['a', 'b']",
            "not for regression; leave them out",
        ),
        ({"classes": ["a", "b"], "positive_class": "c"}, "data.positive_class", "c", "not one of the classes"),
    ],
)
def test_a_field_that_does_not_go_with_its_neighbours_is_named_itself(
    data: dict[str, Any], field: str, value: str, message: str
) -> None:
    problem = _heard(PoolSpec, {"name": "a", "data": ROWS | {"target": "y"} | data})
    assert (problem.field, problem.value) == (field, value)
    assert problem.message.startswith(message)
