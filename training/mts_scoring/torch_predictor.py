"""Neural networks of PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from .network_base import Inputs, InputShape, Network
from .network_encoder import NetworkEncoder
from .networks import NetworkPlan
from .predictor import ROW_US, Predictor

BATCH_ROWS = 2048
"""Rows that are encoded and scored at once: bounds the memory, of which an ensemble takes k times its width a row."""
WEIGHT_US = 1e-4
"""Of a row and a weight, where rows are many."""


@dataclass(frozen=True)
class TargetScale:
    """The target of a regression in training: networks give (value - mean) / deviation, and what they give is kept
    within [low, high], for far outside of the training rows a network may give anything (arXiv:2407.04491, app. A)."""

    mean: float
    deviation: float
    low: float
    high: float


class TorchPredictor(Predictor):
    """Networks of one plan with different seeds; their probabilities or values are averaged. Scores on the CPU."""

    def __init__(
        self,
        encoder: NetworkEncoder,
        plan: NetworkPlan,
        networks: Sequence[Network],
        *,
        num_classes: int,
        target: TargetScale | None = None,
    ) -> None:
        """Takes the networks over. `num_classes` is 0 for regression, which needs `target`."""
        if (target is None) == (num_classes == 0):
            raise ValueError("a regression has a target scale and no classes, a classification has classes and none")
        self.encoder = encoder
        self.plan = plan
        self.networks = tuple(network.cpu().eval().requires_grad_(False) for network in networks)
        self.num_classes = num_classes
        self.target = target

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows, see Predictor."""
        return self.predict_from(frame, None)

    def predict_from(self, frame: pd.DataFrame, margins: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
        """Scores rows, adding to margins where the networks have learnt to: [n, classes] log probabilities or [n]."""
        if len(frame) <= BATCH_ROWS:  # a slice of a frame has to find its columns anew
            return self._scores(frame, margins)
        parts = [slice(start, start + BATCH_ROWS) for start in range(0, max(1, len(frame)), BATCH_ROWS)]
        return np.concatenate(
            [self._scores(frame.iloc[part], None if margins is None else margins[part]) for part in parts]
        )

    def row_us(self) -> float:
        """Those of the weights of all members of all networks."""
        weights = sum(
            parameter.numel() * network.members for network in self.networks for parameter in network.parameters()
        )
        return ROW_US + WEIGHT_US * weights

    def _scores(self, frame: pd.DataFrame, margins: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
        shift = torch.zeros(()) if margins is None else offset_of(margins, self.target)[:, None, :]
        with torch.inference_mode():
            inputs = Inputs.of(self.encoder.transform(frame))
            means = [average(network(inputs) + shift, is_regression=self.num_classes == 0) for network in self.networks]
            scores: npt.NDArray[np.float64] = torch.stack(means).double().mean(dim=0).numpy()
        if self.target is None:
            scores /= scores.sum(axis=1, keepdims=True)  # float32 rows sum to one only within 1e-6
            return scores
        values = scores[:, 0] * self.target.deviation + self.target.mean
        return values.clip(self.target.low, self.target.high)

    def save(self, folder: Path) -> None:
        """Writes the encoder and the plan as JSON and the weights as safetensors."""
        self.encoder.save(folder / "encoder.json")
        description = {
            "outputs": self.plan.outputs,
            "options": self.plan.options,
            "num_networks": len(self.networks),
            "num_classes": self.num_classes,
            "target": asdict(self.target) if self.target else None,
        }
        text = json.dumps(description, ensure_ascii=False, allow_nan=False)
        (folder / "network.json").write_text(text, encoding="utf-8")
        weights = {
            f"{number}.{name}": tensor.contiguous()
            for number, network in enumerate(self.networks)
            for name, tensor in network.state_dict().items()
        }
        save_file(weights, folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        encoder = NetworkEncoder.load(folder / "encoder.json")
        described: dict[str, Any] = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        plan = NetworkPlan(cls.kind, InputShape.of(encoder), described["outputs"], described["options"])
        weights = load_file(folder / "weights.safetensors")
        networks = []
        for number in range(described["num_networks"]):
            network = plan.build(seed=0)
            prefix = f"{number}."
            network.load_state_dict(
                {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
            )
            networks.append(network)
        target = TargetScale(**described["target"]) if described["target"] else None
        return cls(encoder, plan, networks, num_classes=described["num_classes"], target=target)


def average(outputs: torch.Tensor, *, is_regression: bool) -> torch.Tensor:
    """What the members say together: [n, members, outputs] to [n, outputs], probabilities or values."""
    return (outputs if is_regression else outputs.softmax(dim=-1)).mean(dim=1)


def offset_of(margins: npt.NDArray[np.float64], target: TargetScale | None) -> torch.Tensor:
    """Margins in the units of a network's outputs, [n, outputs] float32."""
    if target is not None:
        margins = ((margins - target.mean) / target.deviation)[:, None]
    return torch.from_numpy(margins.astype(np.float32))


class MLPPredictor(TorchPredictor):
    """Of the architecture mlp."""

    kind = "mlp"
    requirements: ClassVar[tuple[str, ...]] = ("torch", "safetensors")


class TabMPredictor(TorchPredictor):
    """Of the architecture tabm."""

    kind = "tabm"
    requirements: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "tabm", "rtdl_num_embeddings")


class FTTransformerPredictor(TorchPredictor):
    """Of the architecture ft_transformer."""

    kind = "ft_transformer"
    requirements: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "rtdl_revisiting_models")
