"""From rows to a predictor of one or several trained networks."""

from __future__ import annotations

import logging
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.data.table import Rows
from training.errors import FitError
from training.models.base import FitContext, FitData, FittedModel, Stage
from training.models.fitting import features_of, fit_errors
from training.models.torch_params import FEW_ROWS, NetworkParams, Recipe, TabMParams
from training.models.torch_peers import Alone, Peers
from training.models.torch_progress import FitClock
from training.models.torch_stages import Staged
from training.models.torch_training import DivergedError, NetworkRows, Training, TrainingRun, torch_threads
from training.mts_scoring.network_base import Inputs, InputShape, Network
from training.mts_scoring.network_encoder import NetworkEncoder, NetworkInputs
from training.mts_scoring.networks import NetworkPlan
from training.mts_scoring.registry import PREDICTORS
from training.mts_scoring.torch_predictor import TargetScale, TorchPredictor, offset_of
from training.spec import TorchArchitecture

logger = logging.getLogger("training")

RETRY_FACTOR = 0.25
"""Share of the learning rate with which a training that diverged starts again, once."""
DIVERGED_HINT = "lower model.params.learning_rate, or look for extreme values in the target and the weights"

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
class NetworkSetup:
    """All that a fit needs but the rows. It is picklable, and the same wherever the fit runs.

    `start`: encoded training rows from which initial weights may follow. `count` networks are trained, after `pilots`
    that choose how long.
    """

    encoder: NetworkEncoder
    target: TargetScale | None
    plan: NetworkPlan
    recipe: Recipe
    count: int
    pilots: int
    seed: int
    start: NetworkInputs
    num_classes: int
    described: dict[str, Any]


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
    peers: Peers


def set_up(architecture: TorchArchitecture, params: NetworkParams, data: FitData, seed: int) -> NetworkSetup:
    """Learns the encoder from the training rows and resolves every default.

    Raises:
        InputError: a column holds what its kind does not allow.
    """
    task, num_classes, rows = data.schema.task, len(data.schema.classes), len(data.train)
    encoder = NetworkEncoder.fit(data.train.frame, features_of(data.schema), scaling=params.scaling)
    target = None if num_classes else _target_scale(data.train.target)
    options = params.options(task)
    if isinstance(params, TabMParams):
        options["bins"] = _bins(encoder.transform(data.train.frame).numbers, params)
    plan = NetworkPlan(architecture, InputShape.of(encoder), num_classes or 1, options)
    recipe, count = params.recipe(task, rows), params.num_networks(rows)
    pilots = 0
    if not (data.validation is not None and len(data.validation)) and recipe.patience and rows >= PILOT_PARTS:
        pilots = FEW_ROW_PILOTS if rows < FEW_ROWS else 1
    described = {"architecture": architecture, "n_seeds": count, "scaling": params.scaling}
    described |= {name: value for name, value in options.items() if name != "bins"} | vars(recipe)
    start = encoder.transform(data.train.frame.iloc[:START_ROWS])
    return NetworkSetup(encoder, target, plan, recipe, count, pilots, seed, start, num_classes, described)


def _fit(
    architecture: TorchArchitecture,
    params: NetworkParams,
    data: FitData,
    context: FitContext,
    margins: Margins | None,
) -> FittedModel:
    device = device_of(context.gpus)
    setup = set_up(architecture, params, data, context.seed)
    if context.stage is not None:
        setup = _in_stage(setup, context.stage)
    train = network_rows(setup, data.train, device, margins.train if margins else None)
    validation = None
    if data.validation is not None and len(data.validation):
        validation = network_rows(setup, data.validation, device, margins.validation if margins else None)
    peers = Alone() if context.stage is None else Staged(context.stage)
    networks, trainings = train_networks(setup, train, validation, context, peers)
    return fitted_model(setup, networks, trainings)


def _in_stage(setup: NetworkSetup, stage: Stage) -> NetworkSetup:
    """A stage runs to its end, and is not preceded by others that choose where that is."""
    recipe = setup.recipe
    return replace(setup, pilots=0, recipe=replace(recipe, patience=0, last_epoch=stage.last_step(recipe.epochs)))


def train_networks(
    setup: NetworkSetup, train: NetworkRows, validation: NetworkRows | None, context: FitContext, peers: Peers
) -> tuple[list[Network], list[Training]]:
    """Trains the networks on the rows of this process, together with its peers."""
    clock = FitClock(context, setup.count + setup.pilots)
    job = _Job(setup.plan, setup.recipe, train, validation, Inputs.of(setup.start), setup.seed, clock, peers)
    networks, trainings = _train_all(_with_pilots(job, setup.pilots) if setup.pilots else job, setup.count)
    clock.finish()
    return networks, trainings


def fitted_model(setup: NetworkSetup, networks: list[Network], trainings: list[Training]) -> FittedModel:
    """The model of the trained networks."""
    predictor_class: Any = PREDICTORS[setup.plan.architecture]
    predictor: TorchPredictor = predictor_class(
        setup.encoder, setup.plan, networks, num_classes=setup.num_classes, target=setup.target
    )
    facts = _facts(networks, trainings, setup.recipe, setup.target)
    return FittedModel(predictor, setup.described, facts, notes=_notes(trainings, setup.recipe))


def _notes(trainings: list[Training], recipe: Recipe) -> tuple[str, ...]:
    count = sum(training.diverged for training in trainings)
    if not count:
        return ()
    which = "the network is" if len(trainings) == 1 else f"{count} of {len(trainings)} networks are"
    return (f"{_diverged(recipe)}; {which} as after the best epoch before: {DIVERGED_HINT}",)


def _with_pilots(job: _Job, count: int) -> _Job:
    """Chooses the number of epochs by networks that leave some of the rows out; then all rows may be learnt from."""
    order = np.random.default_rng(job.seed).permutation(len(job.train))
    best = []
    for number, left_out in enumerate(np.array_split(order, PILOT_PARTS)[:count]):
        learnt, held = (torch.from_numpy(part) for part in (np.setdiff1d(order, left_out), np.sort(left_out)))
        pilot = replace(job, train=job.train.rows(learnt), validation=job.train.rows(held))
        best.append(_train_one(pilot, 0, name=f"pilot {number}")[1].best_epoch)
    epochs = round(float(np.mean(best)))
    logger.info("torch: no validation rows; %d epochs, as was best where a part of the rows was left out", epochs)
    return replace(job, recipe=replace(job.recipe, last_epoch=epochs))


def _train_all(job: _Job, count: int) -> tuple[list[Network], list[Training]]:
    networks: list[Network] = []
    trainings: list[Training] = []
    for number in range(count):
        if networks and job.peers.agreed(job.clock.is_over()):
            logger.warning("torch: time for %d of %d networks only", number, count)
            break
        network, training = _train_one(job, number)
        networks.append(network)
        trainings.append(training)
        logger.info(
            "torch: network %d of %d: %d epochs, kept epoch %d", number + 1, count, training.epochs, training.best_epoch
        )
    return networks, trainings


def _train_one(job: _Job, number: int, name: str = "") -> tuple[Network, Training]:
    """Trains one network; one that diverges starts again with a lower learning rate, once. If that diverges too, the
    better one of the two is kept as it was after its best epoch."""
    name = name or f"network {number}"
    kept = job.peers.kept(name)
    if kept is not None:
        network, training = job.plan.build(0, job.start), Training(*kept["training"])
        network.load_state_dict(kept["network"])
        job.clock.skip(training.epochs)
        job.clock.network_is_done()
        return network.to(job.train.target.device), training
    network, training = _trained(job, number, name)
    job.clock.network_is_done()
    job.peers.keep(name, {"network": network.state_dict(), "training": astuple(training)})
    return network, training


def _trained(job: _Job, number: int, name: str) -> tuple[Network, Training]:
    weights_seed, order_seed = (int(word) for word in np.random.SeedSequence([job.seed, number]).generate_state(2))
    device = job.train.target.device
    rescued: list[tuple[Network, Training]] = []
    for rate in (job.recipe.learning_rate, job.recipe.learning_rate * RETRY_FACTOR):
        network = job.plan.build(weights_seed, job.start).to(device)
        run = TrainingRun(
            network=network,
            recipe=replace(job.recipe, learning_rate=rate),
            train_rows=job.train,
            validation_rows=job.validation,
            generator=torch.Generator(device).manual_seed(order_seed + job.peers.rank),
            progress=job.clock.network(),
            peers=job.peers,
            name=name,
        )
        try:
            return network, run.train()
        except DivergedError as error:
            logger.warning("torch: with learning_rate %g the loss is no number any more", rate)
            if error.best is not None:
                rescued.append((network, error.best))
    if rescued:
        sign = -1.0 if job.recipe.maximize else 1.0
        return min(rescued, key=lambda pair: sign * (pair[1].best_score or 0.0))
    raise FitError(f"torch: {_diverged(job.recipe)}", hint=DIVERGED_HINT)


def _diverged(recipe: Recipe) -> str:
    rate = recipe.learning_rate
    return f"the loss became NaN or infinite, with learning_rate {rate:g} and again with {rate * RETRY_FACTOR:g}"


def device_of(gpus: int) -> torch.device:
    """The device to train on.

    Raises:
        FitError: a GPU was asked for, and there is none.
    """
    if not gpus:
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


def network_rows(
    setup: NetworkSetup, rows: Rows, device: torch.device, margins: npt.NDArray[np.float64] | None = None
) -> NetworkRows:
    """The rows as tensors that stay on the device: batches are slices of them."""
    weight = None
    if rows.weight is not None:
        weight = torch.from_numpy((rows.weight / rows.weight.mean()).astype(np.float32)).to(device)
    inputs = Inputs.of(setup.encoder.transform(rows.frame), device)
    offset = None if margins is None else offset_of(margins, setup.target).to(device)
    return NetworkRows(inputs, torch.from_numpy(scaled_target(setup, rows.target)).to(device), weight, offset)


def scaled_target(setup: NetworkSetup, target: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What the networks learn: [n] class codes, int64, or standardised values, float32."""
    scale = setup.target
    return target.astype(np.int64) if scale is None else ((target - scale.mean) / scale.deviation).astype(np.float32)


def _bins(numbers: npt.NDArray[np.float32], params: TabMParams) -> list[list[float]]:
    """Edges of the bins of each number at its quantiles (arXiv:2203.05556, section 3.2.1); where quantiles are equal
    there are fewer bins, and at least two."""
    if params.numeric_embeddings != "piecewise_linear":
        return []
    edges = []
    for column in numbers.T:
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
        "scheduled_epochs": float(recipe.epochs),
    }
    scores = [training.best_score for training in trainings if training.best_score is not None]
    if scores:
        unit = target.deviation if target else 1.0
        facts[f"best_validation_{recipe.metric}"] = float(np.mean(scores)) * unit
    return facts
