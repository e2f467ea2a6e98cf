"""The architectures: what each computes, and that it starts alike from the same seed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from training.models.torch_params import PARAMS, check_params
from training.mts_scoring.network_base import Inputs, InputShape
from training.mts_scoring.network_mlp import MLP, NTKLinear, ParametricActivation, PBLDEmbedding
from training.mts_scoring.networks import ARCHITECTURES, NetworkPlan

SHAPE = InputShape(2, 1, ((0.5, 0.5, 0.0, 0.0),))
BINS = {"tabm": {"bins": [[-1.0, 0.0, 1.0]] * 2}}


def inputs(rows: int = 500, seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, 2, generator=generator)
    flags = torch.randint(2, (rows, 1), generator=generator) * 2.0 - 1.0
    return Inputs(numbers, flags, torch.randint(2, (rows, 1), generator=generator))


def plan(architecture: Any, **params: Any) -> NetworkPlan:
    options = check_params(architecture, params, "multiclass").options("multiclass") | BINS.get(architecture, {})
    return NetworkPlan(architecture, SHAPE, 3, options)


def test_every_architecture_has_parameters() -> None:
    assert set(ARCHITECTURES) == set(PARAMS)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_builds_the_same_network(architecture: str) -> None:
    rows = inputs()
    first, second, other = (plan(architecture).build(seed, rows).eval() for seed in (1, 1, 2))
    assert torch.equal(first(rows), second(rows))
    assert not torch.equal(first(rows), other(rows))
    assert first(rows).shape == (500, first.members, 3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_parameter_is_in_one_group(architecture: str) -> None:
    network = plan(architecture).build(0)
    grouped = [parameter for group in network.parameter_groups() for parameter in group.parameters]
    assert sorted(map(id, grouped)) == sorted(map(id, network.parameters()))


def test_members_of_tabm_may_have_rows_of_their_own() -> None:
    network = plan("tabm", k=4).build(0).eval()
    rows = inputs(20)
    order = torch.stack([torch.randperm(20) for _ in range(4)], dim=1)
    shared, separate = network(rows), network(rows.rows(order))
    torch.testing.assert_close(separate, shared.gather(0, order[..., None].expand(-1, -1, 3)))


def test_members_of_tabm_differ_from_the_start() -> None:
    outputs = plan("tabm", k=4).build(0).eval()(inputs(20))
    assert outputs.std(dim=1).min() > 0


def test_realmlp_starts_with_outputs_of_unit_variance_and_zeros_within_the_data() -> None:
    rows = inputs()
    network = plan("mlp").build(0, rows).eval()
    assert isinstance(network, MLP)
    x = network.input(rows) * network.scale
    for layer in network.hidden:
        before = layer[0](x)
        torch.testing.assert_close(before.std(dim=0, correction=0), torch.ones(256), rtol=1e-3, atol=1e-3)
        assert (before.min(dim=0).values < 0).all()
        assert (before.max(dim=0).values > 0).all()
        x = layer(x)


def test_neural_tangent_parametrisation() -> None:
    layer = NTKLinear(4, 2)
    x = torch.randn(3, 4)
    torch.testing.assert_close(layer(x), x @ layer.weight / 2.0 + layer.bias)


def test_parametric_activation_learns_its_share() -> None:
    activation = ParametricActivation(2, "relu")
    with torch.no_grad():
        activation.alpha.copy_(torch.tensor([1.0, 0.25]))
    assert activation(torch.tensor([[-4.0, -4.0]])).tolist() == [[0.0, -3.0]]


def test_periodic_embedding_of_numbers_keeps_the_number() -> None:
    embedding = PBLDEmbedding(1, 3, frequencies=5, sigma=0.1)
    x = torch.tensor([[0.7]])
    waves = torch.cos(2 * math.pi * embedding.frequency[0] * 0.7 + embedding.phase[0])
    expected = torch.cat([x[0], waves @ embedding.weight[0] + embedding.bias[0]])
    torch.testing.assert_close(embedding(x)[0, 0], expected)
