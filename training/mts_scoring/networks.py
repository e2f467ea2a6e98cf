"""Which class is which architecture, and how a network is built."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .network_base import Inputs, InputShape, Network

_BUILDING = threading.Lock()


@dataclass(frozen=True)
class NetworkPlan:
    """Everything that fixes a network but its weights.

    `architecture`: key of ARCHITECTURES. `outputs`: classes, or 1. `options`: keyword arguments of the class, as JSON.
    """

    architecture: str
    shape: InputShape
    outputs: int
    options: Mapping[str, Any]

    def build(self, seed: int, inputs: Inputs | None = None) -> Network:
        """An untrained network on the CPU, the same for the same seed and inputs.

        Args:
            seed: of the initial weights.
            inputs: training rows, for an architecture whose initial weights depend on them.
        """
        module, name = ARCHITECTURES[self.architecture]
        network_class = getattr(importlib.import_module(f".{module}", __package__), name)
        # modules of PyTorch draw their weights from the generator of the whole process: nobody else may draw meanwhile
        with _BUILDING, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network: Network = network_class(self.shape, self.outputs, **self.options)
            if inputs is not None:
                network.initialize(inputs)
        return network


ARCHITECTURES: dict[str, tuple[str, str]] = {
    "mlp": ("network_mlp", "MLP"),
    "tabm": ("network_tabm", "TabM"),
    "ft_transformer": ("network_ft_transformer", "FTTransformer"),
}
"""Module of this package and class. A module is imported when it is asked for: one architecture needs no other's
packages."""
