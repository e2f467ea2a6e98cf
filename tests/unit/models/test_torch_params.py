"""The parameters of the torch family: names, ranges, defaults."""

from __future__ import annotations

from typing import Any

import pytest

from training.errors import SpecError
from training.models.torch_model import TorchFamily
from training.models.torch_params import PARAMS, check_params
from training.spec import TorchSpec, XGBoostSpec


@pytest.mark.parametrize(
    ("architecture", "params", "task", "field", "message"),
    [
        ("tabm", {"dropuot": 0.2}, "binary", "dropuot", "tabm has no such parameter; nearest: dropout"),
        ("tabm", {"k": 0}, "binary", "k", "greater than or equal to 1"),
        ("tabm", {"dropout": 1.0}, "binary", "dropout", "less than 1"),
        ("tabm", {"arch_type": "tabm-mega"}, "binary", "arch_type", "'tabm', 'tabm-mini' or 'tabm-packed'"),
        ("mlp", {"hidden_sizes": [64, 0]}, "binary", "hidden_sizes", "each is between 1 and 8192"),
        ("mlp", {"learning_rate": -1}, "regression", "learning_rate", "greater than 0"),
        ("mlp", {"d_block": 64}, "binary", "d_block", "mlp has no such parameter"),
        ("ft_transformer", {"d_block": 100}, "binary", "d_block", "100 is no multiple of attention_n_heads"),
        ("tabm", {"eval_metric": "rmse"}, "binary", "eval_metric", "binary task; possible: log_loss, roc_auc, error"),
        ("tabm", {"eval_metric": "roc_auc"}, "multiclass", "eval_metric", "possible: log_loss, error"),
        ("tabm", {"lr": 0.1}, "binary", "lr", "reserved: its name is learning_rate"),
        ("tabm", {"class_weight": "balanced"}, "binary", "class_weight", "evaluation.cost_matrix"),
        ("tabm", {"learning_rate": float("nan")}, "binary", "learning_rate", "finite number"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_remedy(
    architecture: Any, params: dict[str, Any], task: str, field: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        TorchFamily().check(TorchSpec(architecture=architecture, params=params), task)
    (problem,) = caught.value.problems
    assert problem.field == f"model.params.{field}"
    assert message in problem.message
    assert str(problem.value) == str(params[field])


def test_each_wrong_parameter_has_its_problem() -> None:
    with pytest.raises(SpecError) as caught:
        check_params("tabm", {"k": 0, "n_blocks": 99, "unknown": 1}, "binary")
    assert {problem.field for problem in caught.value.problems} == {
        "model.params.k", "model.params.n_blocks", "model.params.unknown",
    }  # fmt: skip


@pytest.mark.parametrize("architecture", PARAMS)
def test_more_rows_are_passed_over_less_often(architecture: Any) -> None:
    params = check_params(architecture, {}, "binary")
    few, many = params.recipe("binary", 1_000), params.recipe("binary", 1_000_000)
    assert few.epochs > many.epochs
    assert few.batch_size < many.batch_size
    assert check_params(architecture, {"max_epochs": 7}, "binary").recipe("binary", 1_000_000).epochs == 7


def test_the_learning_rate_of_realmlp_follows_from_the_task() -> None:
    params = check_params("mlp", {}, "binary")
    assert params.recipe("binary", 1000).learning_rate == 0.04
    assert params.recipe("regression", 1000).learning_rate == 0.2
    assert check_params("mlp", {"learning_rate": 0.01}, "regression").recipe("regression", 9).learning_rate == 0.01


def test_a_spec_of_another_family_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError, match="takes a TorchSpec, not XGBoostSpec"):
        TorchFamily().check(XGBoostSpec(), "binary")


def test_patience_is_shorter_on_many_rows_unless_it_is_given() -> None:
    params = check_params("tabm", {}, "binary")
    assert [params.recipe("binary", rows).patience for rows in (1_000, 100_000)] == [16, 8]
    assert check_params("tabm", {"patience": 0}, "binary").recipe("binary", 1_000).patience == 0


def test_networks_that_depend_on_their_seed_are_averaged_on_few_rows() -> None:
    params = check_params("mlp", {}, "binary")
    assert [params.num_networks(rows) for rows in (1_000, 100_000)] == [4, 1]
    assert check_params("mlp", {"n_seeds": 1}, "binary").num_networks(1_000) == 1
