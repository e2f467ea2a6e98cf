"""How a network is trained: schedules, loss, dropout, the best epoch."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn
from torch.nn import functional

from training.models.torch_params import Recipe, check_params
from training.models.torch_training import (
    Best,
    NetworkRows,
    SeededDropout,
    flat_cosine,
    learning_rate_factor,
    seed_dropout,
    torch_threads,
    training_loss,
    validation_score,
)
from training.mts_scoring.network_base import Inputs, Network


def rows(target: list[float] | list[int], weight: list[float] | None = None) -> NetworkRows:
    count = len(target)
    inputs = Inputs(torch.zeros(count, 1), torch.zeros(count, 0), torch.zeros(count, 0, dtype=torch.int64))
    return NetworkRows(inputs, torch.tensor(target), None if weight is None else torch.tensor(weight))


class Fixed(Network):
    """Answers what it was given."""

    def __init__(self, outputs: torch.Tensor) -> None:
        super().__init__()
        self.outputs = nn.Parameter(outputs)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        return self.outputs


def test_the_cosine_of_logarithms_has_four_cycles_each_twice_as_long() -> None:
    at = [(2**cycle - 1) / 15 for cycle in range(5)]
    assert [learning_rate_factor("coslog4", done) for done in at] == pytest.approx([0.0] * 5, abs=1e-12)
    peaks = [(2 ** (cycle + 0.5) - 1) / 15 for cycle in range(4)]
    assert [learning_rate_factor("coslog4", done) for done in peaks] == pytest.approx([1.0] * 4)


def test_other_schedules() -> None:
    assert [learning_rate_factor("cosine", done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert [learning_rate_factor("constant", done) for done in (0, 0.5, 1)] == [1, 1, 1]
    assert [flat_cosine(done) for done in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.5, 0])


def test_each_member_learns_for_itself() -> None:
    outputs = torch.tensor([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [3.0, 0.0]]])
    batch = rows([0, 1])
    members = [functional.cross_entropy(outputs[:, member], batch.target) for member in range(2)]
    assert training_loss(outputs, batch, 0.0).item() == pytest.approx(float(sum(members)) / 2)


def test_members_may_have_rows_of_their_own() -> None:
    outputs = torch.tensor([[[1.0], [2.0]]])
    batch = NetworkRows(rows([0.0]).inputs, torch.tensor([[0.0, 4.0]]), torch.tensor([[1.0, 0.5]]))
    assert training_loss(outputs, batch, 0.0).item() == pytest.approx((1.0 + 0.5 * 4.0) / 2)


def test_weights_count_in_the_loss() -> None:
    outputs = torch.tensor([[[1.0]], [[5.0]]])
    assert training_loss(outputs, rows([0.0, 0.0], [2.0, 0.0]), 0.0).item() == pytest.approx(1.0)
    assert training_loss(outputs, rows([0.0, 0.0]), 0.0).item() == pytest.approx(13.0)


def test_the_watched_metrics_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 3, 2, generator=generator)
    target = (torch.rand(200, generator=generator) < 0.3).long()
    weight = torch.rand(200, generator=generator)
    batch = NetworkRows(rows([0] * 200).inputs, target, weight)
    scores = logits.double().softmax(-1).mean(1).numpy()
    weights = weight.double().numpy()
    expected = {
        "log_loss": log_loss(target, scores, sample_weight=weights),
        "roc_auc": roc_auc_score(target, scores[:, 1], sample_weight=weights),
        "error": np.average(scores.argmax(1) != target.numpy(), weights=weights),
    }
    found = {metric: validation_score(Fixed(logits), batch, metric) for metric in expected}  # type: ignore[arg-type]
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_regression_is_watched_by_the_mean_of_the_members() -> None:
    outputs = torch.tensor([[[1.0], [3.0]], [[0.0], [0.0]]])
    assert validation_score(Fixed(outputs), rows([0.0, 1.0]), "rmse") == pytest.approx(math.sqrt(2.5))
    assert validation_score(Fixed(outputs), rows([0.0, 1.0]), "mae") == pytest.approx(1.5)
    assert math.isnan(validation_score(Fixed(outputs * math.nan), rows([0.0, 1.0]), "mae"))


def test_the_best_epoch_is_kept_and_of_equal_ones_the_last() -> None:
    network = Fixed(torch.zeros(1))
    best = Best(maximize=False)
    for epoch, score in enumerate([0.5, 0.3, 0.3, 0.4], start=1):
        with torch.no_grad():
            network.outputs.fill_(epoch)
        best.offer(network, epoch, score)
    assert (best.epoch, best.score, best.weights["outputs"].item()) == (3, 0.3, 3.0)


def test_patience_counts_from_the_best_epoch() -> None:
    def recipe(patience: int, factor: float) -> Recipe:
        return replace(
            check_params("tabm", {}, "binary").recipe("binary", 99), patience=patience, patience_factor=factor
        )

    assert [recipe(16, 1.0).is_over(epoch, 4) for epoch in (19, 20)] == [False, True]
    assert [recipe(40, 3.0).is_over(epoch, 4) for epoch in (51, 52)] == [False, True]
    assert not recipe(0, 1.0).is_over(98, 1)


def test_dropout_draws_from_its_own_generator_and_keeps_the_mean() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.25)))
    (dropout,) = seed_dropout(module, torch.Generator().manual_seed(1))
    assert module[1][0] is dropout
    before = torch.get_rng_state()
    dropped = dropout(torch.ones(100_000))
    assert torch.equal(torch.get_rng_state(), before)
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    again = SeededDropout(0.25, torch.Generator().manual_seed(1))
    assert torch.equal(again(torch.ones(100_000)), dropped)
    assert torch.equal(dropout.eval()(torch.ones(5)), torch.ones(5))


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
