"""What each worker of Ray Train does in the fit of networks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import ray.train
import torch
from ray.train.torch import get_device
from safetensors.torch import save

from training.distributed.mailbox import Mailbox
from training.distributed.messages import Failed, Finished, Share, Started, Step
from training.distributed.shards import TARGET, WEIGHT, Shards
from training.distributed.train_torch_peers import TrainPeers
from training.events import SilentObserver
from training.models import FitContext
from training.models.torch_fitting import NetworkSetup, train_networks
from training.models.torch_training import NetworkRows, torch_threads
from training.mts_scoring.network_base import Inputs
from training.mts_scoring.network_encoder import NetworkInputs


@dataclass(frozen=True)
class NetworkTask:
    """What every worker is given; picklable. `left_s`: of the job's time budget when the workers start."""

    setup: NetworkSetup
    train: Shards
    validation: Shards | None
    cpus: int
    mailbox: Mailbox
    left_s: float | None
    checkpoint_every_s: float


class PostingObserver(SilentObserver):
    """Posts what the fit tells, for the worker of rank 0."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Share that is done."""
        self._mailbox.post(Share(fraction, eta_s))

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Figures of an epoch."""
        self._mailbox.post(Step(step or 0, dict(values)))


def train(config: dict[str, Any]) -> None:
    """The function of the trainer; `config["task"]` is a NetworkTask."""
    task: NetworkTask = config["task"]
    context = ray.train.get_context()
    rank = context.get_world_rank()
    task.mailbox.post(Started.here(rank))
    task.mailbox.keep_beating(rank)
    try:
        _train(task, rank, context.get_world_size())
    except Exception as error:
        task.mailbox.deliver(Failed.of(rank, error))
        raise


def _train(task: NetworkTask, rank: int, workers: int) -> None:
    device = get_device()
    observer = PostingObserver(task.mailbox) if rank == 0 else SilentObserver()
    deadline = None if task.left_s is None else time.monotonic() + task.left_s
    peers = TrainPeers(
        device, global_rows=task.train.num_rows, timed=deadline is not None, checkpoint_every_s=task.checkpoint_every_s
    )
    rows = [_rows(side, rank, workers, device) if side else None for side in (task.train, task.validation)]
    train_rows, validation_rows = rows
    assert train_rows is not None  # noqa: S101 - there are training rows
    # what comes through Ray's object store is read-only, and PyTorch wants memory of its own
    copies: list[Any] = [np.array(array) for array in task.setup.start]
    start = NetworkInputs(*copies)
    context = FitContext(seed=task.setup.seed, cpus=task.cpus, observer=observer, deadline=deadline)
    with torch_threads(task.cpus):
        networks, trainings = train_networks(
            replace(task.setup, start=start), train_rows, validation_rows, context, peers
        )
    if rank == 0:
        weights = [save({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()})
                   for network in networks]  # fmt: skip
        task.mailbox.deliver(Finished((weights, [astuple(training) for training in trainings])))


def _rows(shards: Shards, rank: int, workers: int, device: torch.device) -> NetworkRows:
    """This worker's rows, as tensors that stay on its device: batches are slices of them."""
    groups = list(shards.read(shards.of_worker(rank, workers)))
    arrays: dict[str, Any] = {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}
    count = len(arrays[TARGET])
    kinds = {"numbers": np.float32, "flags": np.float32, "categories": np.int64}
    encoded = [np.ascontiguousarray(arrays.get(name, np.empty((count, 0), kind))) for name, kind in kinds.items()]
    weight = arrays.get(WEIGHT)
    return NetworkRows(
        Inputs.of(NetworkInputs(*encoded), device),
        torch.from_numpy(arrays[TARGET].copy()).to(device),
        None if weight is None else torch.from_numpy(weight.astype(np.float32)).to(device),
    )
