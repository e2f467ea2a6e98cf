"""Several workers of Ray Train that train one network: gradients are averaged, and all of them decide alike."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import torch
from ray.train import Checkpoint
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from training.distributed.train_notice import interval_s
from training.models.torch_peers import Scored
from training.mts_scoring.network_base import Inputs, Network

CHECKPOINT_FILE = "networks.pt"


class TrainPeers:
    """Implements training.models.torch_peers.Peers with PyTorch's process group, which Ray Train has set up.

    The batch size of the recipe is that of all workers together, so that the same recipe does the same whatever their
    number is. Checkpoints go through `ray.train.report`, by time.

    Args:
        device: of this worker's rows.
        global_rows: training rows of all workers.
        timed: whether the job has a time budget: only then workers ask one another after each batch.
        checkpoint_every_s: seconds of work that a loss may cost.
    """

    def __init__(self, device: torch.device, *, global_rows: int, timed: bool, checkpoint_every_s: float) -> None:
        context = ray.train.get_context()
        self.rank, self.count = context.get_world_rank(), context.get_world_size()
        self._device, self._global_rows, self._timed = device, global_rows, timed
        self._every_s = checkpoint_every_s
        self._last = time.monotonic()
        self._kept: dict[str, Mapping[str, Any]] = {}
        self._open: Mapping[str, Any] = {}
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is not None:
            with checkpoint.as_directory() as folder:
                saved = torch.load(Path(folder) / CHECKPOINT_FILE, map_location=device, weights_only=True)
            self._kept, self._open = saved["kept"], saved["open"]

    def forward(self, network: Network) -> Callable[[Inputs], Tensor]:
        """The network, with its gradients averaged over the workers."""
        # one worker may be what is left of several
        if self.count == 1:
            return network
        # buffers are constants, alike in all workers
        return DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)

    def batches(self, rows: int, batch_size: int) -> Sequence[slice]:
        """As many in each worker, of nearly equal size."""
        share = batch_size * rows / self._global_rows
        steps = int(self.agreed(max(1, round(rows / max(1.0, share)))))
        bounds = [rows * step // steps for step in range(steps + 1)]
        return [slice(start, stop) for start, stop in itertools.pairwise(bounds) if stop > start]

    def agreed(self, value: float) -> float:
        """The value of rank 0."""
        if self.count == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64, device=self._device)
        distributed.broadcast(held, 0)
        return float(held)

    def is_late(self, *, late: bool) -> bool:
        """Whether rank 0 is late."""
        return self._timed and bool(self.agreed(late))

    def total(self, values: Tensor) -> Tensor:
        """The sum over all."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def gathered(self, scored: Scored) -> Scored:
        """The validation rows of all, by rank."""
        if self.count == 1:
            return scored
        parts: list[Any] = [None] * self.count
        distributed.all_gather_object(parts, tuple(scored))
        scores, target, weight = zip(*parts, strict=True)
        held = None if weight[0] is None else np.concatenate(weight)
        return Scored(np.concatenate(scores), np.concatenate(target), held)

    def save_if_due(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Saves when the interval is over; one worker decides for all."""
        if not self.agreed(time.monotonic() - self._last >= interval_s(self._every_s)):
            return
        self._last = time.monotonic()
        if self.rank != 0:
            ray.train.report({})
            return
        with tempfile.TemporaryDirectory(prefix="mts-checkpoint-") as folder:
            torch.save({"kept": self._kept, "open": state()}, Path(folder) / CHECKPOINT_FILE)
            ray.train.report({}, checkpoint=Checkpoint.from_directory(folder))

    def resumed(self, name: str) -> Mapping[str, Any] | None:
        """What was saved of the network, where it was the one in work."""
        return self._open if self._open.get("name") == name else None

    def pause(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Nothing: a fit of several workers has one stage."""

    def keep(self, name: str, result: Mapping[str, Any]) -> None:
        """For the next checkpoint."""
        self._kept[name] = {
            "network": {key: tensor.clone() for key, tensor in result["network"].items()},
            "training": tuple(result["training"]),
        }

    def kept(self, name: str) -> Mapping[str, Any] | None:
        """What was done before this start."""
        return self._kept.get(name)
