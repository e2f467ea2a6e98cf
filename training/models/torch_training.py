"""How one network is trained, whatever it is: batches, loss, schedules, the best epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.torch_params import Metric, Recipe, Schedule
from training.models.torch_peers import Alone, Peers, Scored
from training.models.torch_progress import NetworkProgress
from training.mts_scoring.network_base import Inputs, Network
from training.mts_scoring.torch_predictor import BATCH_ROWS, average


class DivergedError(Exception):
    """The loss is no longer a number.

    `best`: the training up to its best epoch, whose weights the network has; None where no epoch came to its end.
    """

    def __init__(self, best: Training | None = None) -> None:
        super().__init__()
        self.best = best


@dataclass(frozen=True)
class NetworkRows:
    """Rows on the device of the network. `target`: [n] class codes, int64, or standardised values, float32. `weight`:
    [n] float32 with mean 1, or None. `offset`: [n, outputs] logits, or standardised values, to which the network adds;
    None for nothing. A batch of separate rows for each member has a dimension more, [n, members]."""

    inputs: Inputs
    target: Tensor
    weight: Tensor | None
    offset: Tensor | None = None

    def __len__(self) -> int:
        return len(self.target)

    @property
    def is_regression(self) -> bool:
        """Whether the target holds values."""
        return self.target.is_floating_point()

    def rows(self, index: slice | Tensor) -> NetworkRows:
        """Some of the rows."""
        weight = None if self.weight is None else self.weight[index]
        offset = None if self.offset is None else self.offset[index]
        return NetworkRows(self.inputs.rows(index), self.target[index], weight, offset)

    def shifted(self, outputs: Tensor) -> Tensor:
        """The outputs of a network for these rows, [n, members, outputs], with the offset."""
        outputs = outputs.float()
        if self.offset is None:
            return outputs
        return outputs + (self.offset if self.offset.ndim == 3 else self.offset[:, None, :])


@dataclass
class Best:
    """The best epoch so far; of equal ones the last, which has the smaller learning rate."""

    maximize: bool
    epoch: int = 0
    score: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, network: Network, epoch: int, score: float) -> None:
        """Keeps the network's weights if they are no worse."""
        if self.score is None or (score >= self.score if self.maximize else score <= self.score):
            self.epoch, self.score = epoch, score
            self.weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}


@dataclass(frozen=True)
class Training:
    """How a training went: epochs that ran, the one that was kept, counted from 1, and its validation metric."""

    epochs: int
    best_epoch: int
    best_score: float | None
    diverged: bool = False
    """Whether the loss became no number after the epoch that was kept."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """The training of one network, in place.

    `network` is on the device of the rows, as is `generator`, which orders the rows and draws the dropout. `validation`
    chooses the epoch that is kept; without it the last one is. `progress` hears of each epoch and says when time is up.
    `peers` train the same network on other rows; `name` tells it from others of the same fit.
    """

    network: Network
    recipe: Recipe
    train_rows: NetworkRows
    validation_rows: NetworkRows | None
    generator: torch.Generator
    progress: NetworkProgress
    peers: Peers = field(default_factory=Alone)
    name: str = ""

    def train(self) -> Training:
        """Trains until the recipe or the time is at its end, and leaves the weights of the best epoch.

        Raises:
            DivergedError: the loss is no longer a number.
            JobCancelledError: somebody asked the job to stop.
        """
        best = Best(self.recipe.maximize)
        try:
            return self._train(best)
        except DivergedError:
            if not best.weights:
                raise
            self.network.load_state_dict(best.weights)
            raise DivergedError(Training(best.epoch, best.epoch, best.score, diverged=True)) from None

    def _train(self, best: Best) -> Training:
        recipe, network, peers = self.recipe, self.network, self.peers
        optimizer = Optimizer(network, recipe, seed_dropout(network, self.generator))
        epoch, epochs = self._resume(optimizer, best)
        forward = peers.forward(network)
        while epoch < min(epochs, recipe.last_epoch):
            loss, in_time = self._epoch(optimizer, forward, epoch, epochs)
            epoch += 1
            network.fill_unseen()
            metrics = {"train/loss": loss}
            if self.validation_rows is not None:
                score = _finite(self._validation_score(self.validation_rows))
                best.offer(network, epoch, score)
                metrics[f"validation/{recipe.metric}"] = score
            epochs = int(peers.agreed(self.progress.epoch(epoch, epochs, metrics)))
            if not in_time or (best.weights and recipe.is_over(epoch, best.epoch)):
                break
            peers.save_if_due(partial(self._state, optimizer, best, epoch, epochs))
        peers.pause(partial(self._state, optimizer, best, epoch, epochs))
        if best.weights:
            network.load_state_dict(best.weights)
        return Training(epoch, best.epoch if best.weights else epoch, best.score)

    def _state(self, optimizer: Optimizer, best: Best, epoch: int, epochs: int) -> dict[str, Any]:
        return {
            "name": self.name, "epoch": epoch, "epochs": epochs, "network": self.network.state_dict(),
            "optimizer": optimizer.state_dict(), "best": vars(best) | {"maximize": None},
        }  # fmt: skip

    def _resume(self, optimizer: Optimizer, best: Best) -> tuple[int, int]:
        """Epochs that are done, and how many there will be. The order of the rows is drawn anew."""
        state = self.peers.resumed(self.name)
        if state is None:
            return 0, self.recipe.epochs
        self.network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        best.epoch, best.score, best.weights = (state["best"][name] for name in ("epoch", "score", "weights"))
        self.progress.skip(state["epoch"])
        self.generator.manual_seed(self.generator.initial_seed() + state["epoch"])
        return state["epoch"], state["epochs"]

    def _epoch(
        self, optimizer: Optimizer, forward: Callable[[Inputs], Tensor], epoch: int, epochs: int
    ) -> tuple[float, bool]:
        """One pass over the rows: mean loss, and whether there was time for all of them."""
        self.network.train()
        rows, peers = self.train_rows, self.peers
        device = rows.target.device
        order = self._order(len(rows), device)
        total = torch.zeros(2, device=device, dtype=torch.float64)
        for place in peers.batches(len(rows), self.recipe.batch_size):
            batch = rows.rows(order[place])
            done = (epoch + place.start / len(rows)) / epochs
            with _mixed_precision(device):
                outputs = forward(batch.inputs)
            loss = training_loss(batch.shifted(outputs), batch, self.recipe.label_smoothing)
            optimizer.step(loss, done)
            total += torch.stack([loss.detach().double() * len(batch), torch.tensor(len(batch), device=device)])
            if peers.is_late(late=self.progress.is_late(done)):
                return _mean_loss(peers.total(total)), False
        return _mean_loss(peers.total(total)), True

    def _validation_score(self, rows: NetworkRows) -> float:
        return metric_of(self.peers.gathered(scored(self.network, rows)), self.recipe.metric)

    def _order(self, count: int, device: torch.device) -> Tensor:
        """Row numbers in random order, [n], or an order for each member, [n, members]."""
        if self.recipe.shares_batches or self.network.members == 1:
            return torch.randperm(count, generator=self.generator, device=device)
        members = range(self.network.members)
        return torch.stack([torch.randperm(count, generator=self.generator, device=device) for _ in members], dim=1)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise DivergedError
    return value


def _mean_loss(total: Tensor) -> float:
    """Of the sum of losses and the number of rows."""
    losses, rows = total.tolist()
    return _finite(losses) / float(rows)


def _mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 on a GPU, which has units for it; on a CPU float32."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


class Optimizer:
    """AdamW (Loshchilov, Hutter 2019, arXiv:1711.05101) with the schedules of the recipe and clipped gradients."""

    def __init__(self, network: Network, recipe: Recipe, dropouts: list[SeededDropout]) -> None:
        self._recipe = recipe
        self._factors = network.parameter_groups()
        self._parameters = [parameter for group in self._factors for parameter in group.parameters]
        self._dropouts = [(dropout, dropout.p) for dropout in dropouts]
        groups = [{"params": group.parameters} for group in self._factors]
        self._adam = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)

    def step(self, loss: Tensor, done: float) -> None:
        """One step down the loss, when the share `done` of the training is done."""
        recipe = self._recipe
        rate = recipe.learning_rate * learning_rate_factor(recipe.schedule, done)
        fade = flat_cosine(done) if recipe.fades_regularization else 1.0
        for settings, group in zip(self._adam.param_groups, self._factors, strict=True):
            settings["lr"] = rate * group.learning_rate_factor
            settings["weight_decay"] = recipe.weight_decay * fade * group.weight_decay_factor
        for dropout, p in self._dropouts:
            dropout.p = p * fade
        self._adam.zero_grad()
        torch.autograd.backward(loss)
        if recipe.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, recipe.gradient_clip_norm)
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._adam.load_state_dict(state)


def learning_rate_factor(schedule: Schedule, done: float) -> float:
    """Share of the learning rate at the share `done` of the training.

    coslog4 (arXiv:2407.04491, section 3): (1 - cos(2 pi log2(1 + 15 done))) / 2, four cycles, each twice as long as
    the one before. cosine: (1 + cos(pi done)) / 2.
    """
    if schedule == "coslog4":
        return 0.5 * (1.0 - math.cos(2.0 * math.pi * math.log2(1.0 + 15.0 * done)))
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done))
    return 1.0


def flat_cosine(done: float) -> float:
    """1 in the first half, then half a cosine down to 0 (flat_cos of arXiv:2407.04491, appendix A)."""
    return 0.5 * (1.0 + math.cos(math.pi * (max(1.0, 2.0 * done) - 1.0)))


def training_loss(outputs: Tensor, batch: NetworkRows, label_smoothing: float) -> Tensor:
    """Weighted mean over rows of the mean loss of the members, each of which learns for itself (TabM, section 3).

    Args:
        outputs: [n, members, outputs].
        batch: the rows.
        label_smoothing: share of the probability that is spread over all classes.
    """
    members = outputs.shape[1]
    target = batch.target if batch.target.ndim == 2 else batch.target[:, None].expand(-1, members)
    if batch.is_regression:
        losses = (outputs[..., 0] - target).square()
    else:
        losses = functional.cross_entropy(
            outputs.flatten(0, 1), target.reshape(-1), reduction="none", label_smoothing=label_smoothing
        ).reshape(-1, members)
    if batch.weight is None:
        return losses.mean()
    return (losses * (batch.weight if batch.weight.ndim == 2 else batch.weight[:, None])).mean()


def validation_score(network: Network, rows: NetworkRows, metric: Metric) -> float:
    """The metric of the averaged members; rmse and mae in units of the standardised target."""
    return metric_of(scored(network, rows), metric)


def scored(network: Network, rows: NetworkRows) -> Scored:
    """The rows with the scores of the averaged members."""
    network.eval()
    with torch.inference_mode():
        batches = (rows.rows(slice(start, start + BATCH_ROWS)) for start in range(0, len(rows), BATCH_ROWS))
        parts = [average(batch.shifted(network(batch.inputs)), is_regression=rows.is_regression) for batch in batches]
    weight = None if rows.weight is None else rows.weight.cpu().numpy()
    return Scored(torch.cat(parts).double().cpu().numpy(), rows.target.cpu().numpy(), weight)


def metric_of(rows: Scored, metric: Metric) -> float:
    """The metric of scored rows; NaN where a score is no number."""
    scores, target, weight = rows
    if not np.isfinite(scores).all():
        return math.nan
    if metric == "roc_auc":
        if len(np.unique(target)) < 2:
            return 0.5
        # half a second to import, in each worker's process, for a metric that is seldom asked for
        from sklearn.metrics import roc_auc_score  # noqa: PLC0415

        return float(roc_auc_score(target, scores[:, 1], sample_weight=weight))
    if metric == "log_loss":
        losses = -np.log(np.clip(scores[np.arange(len(target)), target], 1e-15, None))
    elif metric == "error":
        losses = scores.argmax(axis=1) != target
    else:
        losses = np.abs(scores[:, 0] - target)
    if metric == "rmse":
        return float(np.sqrt(np.average(np.square(losses), weights=weight)))
    return float(np.average(losses, weights=weight))


class SeededDropout(nn.Module):
    """Dropout (Srivastava et al. 2014) that draws from a generator of its own: PyTorch's draws from that of the whole
    process, which another training in the same process draws from too."""

    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__()
        self.p = p
        self._generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Drops, in training."""
        if not self.training or self.p == 0.0:
            return x
        kept = torch.empty_like(x).bernoulli_(1.0 - self.p, generator=self._generator)
        return x * kept.div_(1.0 - self.p)


def seed_dropout(module: nn.Module, generator: torch.Generator) -> list[SeededDropout]:
    """Replaces each dropout below the module, also one that an earlier training left, and lists them."""
    replaced = []
    for name, child in module.named_children():
        if isinstance(child, nn.Dropout | SeededDropout):
            dropout = SeededDropout(child.p, generator)
            setattr(module, name, dropout)
            replaced.append(dropout)
        else:
            replaced += seed_dropout(child, generator)
    return replaced


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Lets PyTorch use so many threads while the context lasts: teams that share cores slow each other down."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)
