"""RealMLP: a multilayer perceptron with defaults that were tuned over many data sets.

Holzmüller, Grinsztajn, Steinwart 2024, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data"
(NeurIPS), arXiv:2407.04491, section 3 and appendix A: the version with tuned defaults, RealMLP-TD.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from .network_base import InputLayer, Inputs, InputShape, Network, ParameterGroup

Activation = Literal["selu", "mish", "relu"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "selu": functional.selu, "mish": functional.mish, "relu": functional.relu,
}  # fmt: skip
# factors of the learning rate, appendix A
SCALE_FACTOR = 6.0
BIAS_FACTOR = 0.1
ACTIVATION_FACTOR = 0.1
EMBEDDING_FACTOR = 0.1
HULL_POINTS = 5
"""Training rows of which the initial bias of a neuron is a random convex combination ("he+5")."""


class PBLDEmbedding(nn.Module):
    """Periodic bias linear densenet embedding of numbers (section 3): for each number x

    (x, W2 cos(2 pi w1 x + b1) + b2), w1 ~ N(0, sigma^2), b1 ~ U(-pi, pi),

    after the periodic embeddings of Gorishniy et al. 2022 (arXiv:2203.05556, section 3.3).
    """

    def __init__(self, numbers: int, width: int, *, frequencies: int, sigma: float) -> None:
        """`width` counts x itself."""
        super().__init__()
        bound = 1.0 / math.sqrt(frequencies)
        self.frequency = nn.Parameter(torch.randn(numbers, frequencies) * sigma)
        self.phase = nn.Parameter((torch.rand(numbers, frequencies) * 2.0 - 1.0) * math.pi)
        self.weight = nn.Parameter((torch.rand(numbers, frequencies, width - 1) * 2.0 - 1.0) * bound)
        self.bias = nn.Parameter((torch.rand(numbers, width - 1) * 2.0 - 1.0) * bound)

    def forward(self, numbers: Tensor) -> Tensor:
        """[n, numbers] to [n, numbers, width]."""
        waves = torch.cos(2.0 * math.pi * self.frequency * numbers[..., None] + self.phase)
        mixed = torch.einsum("npf,pfw->npw", waves, self.weight) + self.bias
        return torch.cat([numbers[..., None], mixed], dim=-1)


class NTKLinear(nn.Module):
    """A linear layer in the neural tangent parametrisation (section 3): z = W x / sqrt(d) + b."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._gain = 1.0 / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs] to [n, outputs]."""
        return torch.addmm(self.bias, x, self.weight, alpha=self._gain)

    def initialize(self, x: Tensor) -> Tensor:
        """Scales the weights so that each output varies by 1 over the rows `x`, and puts each bias so that the zero of
        the neuron lies within the data: on a random convex combination of HULL_POINTS rows (appendix A). Returns the
        outputs."""
        self.weight.div_((x @ self.weight * self._gain).std(dim=0, correction=0).clamp_min(1e-6))
        outputs = x @ self.weight * self._gain
        points = torch.randint(len(x), (HULL_POINTS, outputs.shape[1]))
        shares = torch.empty(HULL_POINTS, outputs.shape[1]).exponential_()
        self.bias.copy_(-(outputs.gather(0, points) * shares / shares.sum(dim=0)).sum(dim=0))
        return outputs + self.bias


class ParametricActivation(nn.Module):
    """x + alpha (f(x) - x) with a learned alpha for each neuron, 1 at the start (section 3)."""

    def __init__(self, width: int, activation: Activation) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(width))
        self._function = _ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """[n, width] to [n, width]."""
        return torch.lerp(x, self._function(x), self.alpha)


class MLP(Network):
    """RealMLP, see the module.

    Args:
        shape: of the inputs.
        outputs: classes, or 1.
        hidden_sizes: width of each hidden layer.
        activation: of the hidden layers.
        dropout: after each activation.
        numeric_embeddings: pbld or none.
        d_embedding: width of the embedding of a number, counting the number itself.
        n_frequencies: of the embedding of a number.
        frequency_scale: sigma of PBLDEmbedding.
        max_one_hot: most categories of a column that is encoded one-hot.
        category_embedding: width of a learned category embedding.
    """

    def __init__(
        self,
        shape: InputShape,
        outputs: int,
        *,
        hidden_sizes: Sequence[int],
        activation: Activation,
        dropout: float,
        numeric_embeddings: Literal["pbld", "none"],
        d_embedding: int,
        n_frequencies: int,
        frequency_scale: float,
        max_one_hot: int,
        category_embedding: int,
    ) -> None:
        super().__init__()
        embedding = (
            PBLDEmbedding(shape.numbers, d_embedding, frequencies=n_frequencies, sigma=frequency_scale)
            if shape.numbers and numeric_embeddings == "pbld"
            else None
        )
        self.input = InputLayer(
            shape,
            embedding,
            d_embedding if embedding else 1,
            max_one_hot=max_one_hot,
            embedding_width=category_embedding,
        )
        width = sum(self.input.widths)
        self.scale = nn.Parameter(torch.ones(width))
        self.hidden = nn.ModuleList()
        for size in hidden_sizes:
            layer = nn.Sequential(NTKLinear(width, size), ParametricActivation(size, activation), nn.Dropout(dropout))
            self.hidden.append(layer)
            width = size
        self.output = NTKLinear(width, outputs)

    def forward(self, inputs: Inputs) -> Tensor:
        """See Network."""
        x = self.input(inputs) * self.scale
        for layer in self.hidden:
            x = layer(x)
        logits: Tensor = self.output(x)
        return logits[:, None, :]

    @torch.no_grad()
    def initialize(self, inputs: Inputs) -> None:
        """Sets weights and biases from the training rows, layer after layer."""
        x = self.input(inputs) * self.scale
        for module in self.modules():
            if isinstance(module, NTKLinear):
                x = module.initialize(x)
            elif isinstance(module, ParametricActivation):
                x = module(x)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Learning rates differ by the kind of the parameter; biases have no weight decay (appendix A)."""
        numeric = [] if self.input.number_embedding is None else list(self.input.number_embedding.parameters())
        linear = [module for module in self.modules() if isinstance(module, NTKLinear)]
        alphas = [module.alpha for module in self.modules() if isinstance(module, ParametricActivation)]
        weights = [module.weight for module in linear] + list(self.input.categories.parameters())
        groups = [
            ParameterGroup(weights),
            ParameterGroup([module.bias for module in linear], BIAS_FACTOR, 0.0),
            ParameterGroup([self.scale], SCALE_FACTOR),
            ParameterGroup(alphas, ACTIVATION_FACTOR),
            ParameterGroup(numeric, EMBEDDING_FACTOR),
        ]
        return [group for group in groups if group.parameters]
