"""What a spec may ask for, and which engine it gets."""

from __future__ import annotations

from typing import Any

import pytest

from training.distributed import check_spread
from training.errors import SpecError
from training.spec import TrainSpec, parse_spec


def spec_of(family: str, **resources: Any) -> TrainSpec:
    raw = {
        "name": "toy",
        "data": {"source": {"type": "inline", "rows": [{"x": 1, "y": 0}]}, "target": "y"},
        "model": {"family": family},
        "resources": resources,
    }
    return parse_spec(TrainSpec, raw)


@pytest.mark.parametrize(
    ("family", "resources", "engine"),
    [
        ("xgboost", {}, "local"),
        ("xgboost", {"num_workers": 2}, "xgboost_ray"),
        ("xgboost", {"num_workers": 2, "engine": "ray_train"}, "ray_train"),
        ("xgboost", {"num_workers": [1, 4], "engine": "ray_train"}, "ray_train"),
        ("torch", {"num_workers": 2}, "ray_train"),
        ("torch", {"num_workers": [1, 8]}, "ray_train"),
        ("torch", {"engine": "ray_train"}, "local"),
        ("sklearn", {"cpus_per_worker": 4}, "local"),
    ],
)
def test_auto_takes_the_engine_of_the_family(family: str, resources: dict[str, Any], engine: str) -> None:
    spec = spec_of(family, **resources)
    check_spread(spec)
    assert spec.resources.engine_for(family) == engine


@pytest.mark.parametrize(
    ("family", "resources", "field", "message"),
    [
        ("torch", {"num_workers": 2, "engine": "xgboost_ray"}, "engine", "cannot spread a model of family torch"),
        ("sklearn", {"engine": "ray_train"}, "engine", "it can: torch, xgboost"),
        ("sklearn", {"num_workers": 2}, "num_workers", "raise cpus_per_worker instead"),
        ("xgboost", {"num_workers": 2, "engine": "local"}, "num_workers", "the engine local has one worker"),
        ("xgboost", {"num_workers": [1, 4]}, "num_workers", "the engine xgboost_ray needs one number"),
    ],
)
def test_an_engine_that_cannot_is_named(family: str, resources: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        check_spread(spec_of(family, **resources))
    assert refused.value.problems[0].field == f"resources.{field}"
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("resources", "field"),
    [
        ({"num_workers": 0}, "num_workers"),
        ({"num_workers": -2}, "num_workers"),
        ({"num_workers": 1.5}, "num_workers"),
        ({"num_workers": [1]}, "num_workers"),
        ({"num_workers": [4, 2]}, ""),
        ({"cpus_per_worker": 0.5}, "cpus_per_worker"),
        ({"cpus_per_worker": -1}, "cpus_per_worker"),
        ({"gpus_per_worker": 0.5}, "gpus_per_worker"),
        ({"gpus_per_worker": -1}, "gpus_per_worker"),
        ({"memory_mb": 0}, "memory_mb"),
        ({"engine": "spark"}, "engine"),
    ],
)
def test_fractional_and_negative_resources_are_refused(resources: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError) as refused:
        spec_of("xgboost", **resources)
    assert refused.value.problems[0].field.startswith(f"resources.{field}".rstrip("."))
