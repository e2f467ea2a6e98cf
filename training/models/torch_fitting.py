"""From rows to a predictor of one or several trained networks."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.data.table import Rows
from training.errors import FitError
from training.models.base import FitContext, FitData, FittedModel
from training.models.fitting import features_of, fit_errors
from training.models.torch_params import FEW_ROWS, NetworkParams, Recipe, TabMParams
from training.models.torch_progress import FitClock
from training.models.torch_training import DivergedError, NetworkRows, Training, TrainingRun, torch_threads
from training.mts_scoring.network_base import Inputs, InputShape, Network
from training.mts_scoring.network_encoder import NetworkEncoder
from training.mts_scoring.networks import NetworkPlan
from training.mts_scoring.registry import PREDICTORS
from training.mts_scoring.torch_predictor import TargetScale, TorchPredictor, offset_of
from training.spec import TorchArchitecture

logger = logging.getLogger("training")

RETRY_FACTOR = 0.25
"""Share of the learning rate with which a training that diverged starts again, once."""

PILOT_PARTS = 5
"""Where there are no validation rows, one of so many parts of the training rows chooses the number of epochs; of few
rows several parts do, each by a network of its own, for one alone would tell little."""
FEW_ROW_PILOTS = 3
START_ROWS = 10_000
"""Training rows, at most, from which the initial weights follow."""


@dataclass(frozen=True)
class Margins:
    """What the networks add to: [n, classes] log probabilities, or [n] values, of the train and the validation rows."""

    train: npt.NDArray[np.float64]
    validation: npt.NDArray[np.float64] | None


def fit_networks(
    architecture: TorchArchitecture,
    params: NetworkParams,
    data: FitData,
    context: FitContext,
    margins: Margins | None = None,
) -> FittedModel:
    """Fits as many networks as the parameters ask for and the deadline allows, at least one.

    With `margins` the networks learn what is to be added to them, and the predictor wants them too.

    Raises:
        DataError: a column holds what its kind does not allow.
        FitError: the training diverged twice, ran out of memory, or lacks its GPU.
        JobCancelledError: the observer asked for it.
    """
    with fit_errors("torch", RuntimeError), torch_threads(context.cpus):
        return _fit(architecture, params, data, context, margins)


@dataclass(frozen=True)
class _Job:
    """What the trainings of one fit share. `start`: training rows on the CPU, from which initial weights may follow."""

    plan: NetworkPlan
    recipe: Recipe
    train: NetworkRows
    validation: NetworkRows | None
    start: Inputs
    seed: int
    clock: FitClock


def _fit(
    architecture: TorchArchitecture,
    params: NetworkParams,
    data: FitData,
    context: FitContext,
    margins: Margins | None,
) -> FittedModel:
    task, num_classes = data.schema.task, len(data.schema.classes)
    device = _device(context)
    encoder = NetworkEncoder.fit(data.train.frame, features_of(data.schema), scaling=params.scaling)
    target = None if num_classes else _target_scale(data.train.target)
    train = _rows(encoder, data.train, target, device, None if margins is None else margins.train)
    validation = None
    if data.validation is not None and len(data.validation):
        validation = _rows(encoder, data.validation, target, device, None if margins is None else margins.validation)
    options = params.options(task)
    if isinstance(params, TabMParams):
        options["bins"] = _bins(train.inputs.numbers, params)
    plan = NetworkPlan(architecture, InputShape.of(encoder), num_classes or 1, options)
    recipe, count = params.recipe(task, len(train)), params.num_networks(len(train))
    pilots = 0
    if validation is None and recipe.patience and len(train) >= PILOT_PARTS:
        pilots = FEW_ROW_PILOTS if len(train) < FEW_ROWS else 1
    clock = FitClock(context, count + pilots)
    start = Inputs(*(tensor[:START_ROWS].cpu() for tensor in train.inputs))
    job = _Job(plan, recipe, train, validation, start, context.seed, clock)
    networks, trainings = _train_all(_with_pilots(job, pilots) if pilots else job, count)
    clock.finish()
    predictor_class: Any = PREDICTORS[architecture]
    predictor: TorchPredictor = predictor_class(encoder, plan, networks, num_classes=num_classes, target=target)
    described = {"architecture": architecture, "n_seeds": count, "scaling": params.scaling}
    described |= {name: value for name, value in options.items() if name != "bins"} | vars(recipe)
    return FittedModel(predictor, described, _facts(networks, trainings, recipe, target))


def _with_pilots(job: _Job, count: int) -> _Job:
    """Chooses the number of epochs by networks that leave some of the rows out; then all rows may be learnt from."""
    order = np.random.default_rng(job.seed).permutation(len(job.train))
    best = []
    for left_out in np.array_split(order, PILOT_PARTS)[:count]:
        learnt, held = (torch.from_numpy(part) for part in (np.setdiff1d(order, left_out), np.sort(left_out)))
        pilot = replace(job, train=job.train.rows(learnt), validation=job.train.rows(held))
        best.append(_train_one(pilot, 0)[1].best_epoch)
    epochs = round(float(np.mean(best)))
    logger.info("torch: no validation rows; %d epochs, as was best where a part of the rows was left out", epochs)
    return replace(job, recipe=replace(job.recipe, last_epoch=epochs))


def _train_all(job: _Job, count: int) -> tuple[list[Network], list[Training]]:
    networks: list[Network] = []
    trainings: list[Training] = []
    for number in range(count):
        if networks and job.clock.is_over():
            logger.warning("torch: time for %d of %d networks only", number, count)
            break
        network, training = _train_one(job, number)
        networks.append(network)
        trainings.append(training)
        logger.info(
            "torch: network %d of %d: %d epochs, kept epoch %d", number + 1, count, training.epochs, training.best_epoch
        )
    return networks, trainings


def _train_one(job: _Job, number: int) -> tuple[Network, Training]:
    """Trains one network; one that diverges starts again with a lower learning rate, once."""
    weights_seed, order_seed = (int(word) for word in np.random.SeedSequence([job.seed, number]).generate_state(2))
    device = job.train.target.device
    recipe = job.recipe
    for attempt in range(2):
        network = job.plan.build(weights_seed, job.start).to(device)
        run = TrainingRun(
            network=network,
            recipe=recipe,
            train_rows=job.train,
            validation_rows=job.validation,
            generator=torch.Generator(device).manual_seed(order_seed),
            progress=job.clock.network(),
        )
        try:
            training = run.train()
        except DivergedError:
            lower = recipe.learning_rate * RETRY_FACTOR
            if attempt == 0:
                logger.warning("torch: the loss is no number any more; starting again with learning_rate %g", lower)
                recipe = replace(recipe, learning_rate=lower)
        else:
            job.clock.network_is_done()
            return network, training
    raise FitError(
        f"torch: the loss became NaN or infinite, with learning_rate {job.recipe.learning_rate:g} and again with "
        f"{job.recipe.learning_rate * RETRY_FACTOR:g}",
        hint="lower model.params.learning_rate, or look for extreme values in the target and the weights",
    )


def _device(context: FitContext) -> torch.device:
    if not context.gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise FitError(
            "torch: a GPU was asked for, but PyTorch finds none here",
            hint="set resources.gpus_per_worker to 0, or install PyTorch with CUDA on the nodes that have GPUs",
        )
    return torch.device("cuda")


def _target_scale(target: npt.NDArray[Any]) -> TargetScale:
    deviation = float(target.std())
    mean, low, high = float(target.mean()), float(target.min()), float(target.max())
    # the spread of a constant target is rounding error
    return TargetScale(mean, deviation if deviation > 1e-10 * abs(mean) else 1.0, low, high)


def _rows(
    encoder: NetworkEncoder,
    rows: Rows,
    target: TargetScale | None,
    device: torch.device,
    margins: npt.NDArray[np.float64] | None,
) -> NetworkRows:
    """The rows as tensors that stay on the device: batches are slices of them."""
    values = rows.target.astype(np.int64)
    if target is not None:
        values = ((rows.target - target.mean) / target.deviation).astype(np.float32)
    weight = None
    if rows.weight is not None:
        weight = torch.from_numpy((rows.weight / rows.weight.mean()).astype(np.float32)).to(device)
    inputs = Inputs.of(encoder.transform(rows.frame), device)
    offset = None if margins is None else offset_of(margins, target).to(device)
    return NetworkRows(inputs, torch.from_numpy(values).to(device), weight, offset)


def _bins(numbers: torch.Tensor, params: TabMParams) -> list[list[float]]:
    """Edges of the bins of each number at its quantiles (arXiv:2203.05556, section 3.2.1); where quantiles are equal
    there are fewer bins, and at least two."""
    if params.numeric_embeddings != "piecewise_linear":
        return []
    edges = []
    for column in numbers.T.cpu().numpy():
        found = np.unique(np.quantile(column, np.linspace(0.0, 1.0, params.n_bins + 1)).astype(np.float32))
        if len(found) < 3:
            low, high = column.min(), column.max()
            found = np.array([low, (low + high) / 2.0, high])
        edges.append(found.tolist())
    return edges


def _facts(
    networks: list[Network], trainings: list[Training], recipe: Recipe, target: TargetScale | None
) -> dict[str, float]:
    """Figures for tracking; over several networks the mean."""
    facts = {
        "num_networks": float(len(networks)),
        "num_parameters": float(sum(parameter.numel() for parameter in networks[0].parameters())),
        "epochs": float(np.mean([training.epochs for training in trainings])),
        "best_epoch": float(np.mean([training.best_epoch for training in trainings])),
    }
    scores = [training.best_score for training in trainings if training.best_score is not None]
    if scores:
        unit = target.deviation if target else 1.0
        facts[f"best_validation_{recipe.metric}"] = float(np.mean(scores)) * unit
    return facts
