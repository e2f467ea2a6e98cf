"""What every network is, and the parts that several share. Pure PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .network_encoder import NetworkEncoder, NetworkInputs


class Inputs(NamedTuple):
    """Rows on a device: `numbers` [n, numbers] float32, `flags` [n, flags] float32, `categories` [n, columns] int64."""

    numbers: Tensor
    flags: Tensor
    categories: Tensor

    @classmethod
    def of(cls, encoded: NetworkInputs, device: torch.device | str = "cpu") -> Inputs:
        """The arrays as tensors."""
        return cls(*(torch.from_numpy(array).to(device) for array in encoded))

    def rows(self, index: slice | Tensor) -> Inputs:
        """Some of the rows."""
        return Inputs(self.numbers[index], self.flags[index], self.categories[index])


@dataclass(frozen=True)
class InputShape:
    """What a network is built for: how many numbers and flags, and for each categorical column the share of each code
    in the training rows."""

    numbers: int
    flags: int
    category_shares: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, encoder: NetworkEncoder) -> InputShape:
        """The shape of what the encoder gives."""
        return cls(encoder.num_numbers, encoder.num_flags, encoder.category_shares)


class ParameterGroup(NamedTuple):
    """Parameters that are trained alike: factors of the learning rate and of the weight decay."""

    parameters: list[nn.Parameter]
    learning_rate_factor: float = 1.0
    weight_decay_factor: float = 1.0


class Network(nn.Module, ABC):
    """Scores encoded rows.

    A category that training never had (nor a missing value, where it never had one) counts as the average of those
    that it had, weighted by their frequency.
    """

    members = 1
    """Scores that the network gives for a row."""

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tensor:
        """[n, members, outputs]: one output per class, as logits, or one, the standardised value.

        An ensemble also takes inputs with a dimension more, [n, members, ...]: rows of its own for each member.
        """

    def parameter_groups(self) -> list[ParameterGroup]:
        """Every parameter once. No weight decay on vectors: biases, norms, scales."""
        parameters = list(self.parameters())
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        return [ParameterGroup(matrices), ParameterGroup(vectors, weight_decay_factor=0.0)]

    def initialize(self, inputs: Inputs) -> None:
        """Sets initial weights that depend on the training rows; draws from torch's default generator."""

    def fill_unseen(self) -> None:
        """Gives codes that training never had the average of the others; to be called after weights have changed."""
        for module in self.modules():
            if isinstance(module, CategoryEmbedding):
                module.fill_unseen()


class CategoryEmbedding(nn.Embedding):
    """A learned vector for each code: `shares` [codes] are the frequencies of the codes in training."""

    def __init__(self, shares: Sequence[float], width: int) -> None:
        super().__init__(len(shares), width)
        self._shares = tuple(shares)

    def fill_unseen(self) -> None:
        """Gives codes that training never had the average of the others."""
        with torch.no_grad():
            shares = torch.tensor(self._shares, dtype=self.weight.dtype, device=self.weight.device)
            self.weight[shares == 0] = shares @ self.weight


class OneHot(nn.Module):
    """A column for each code that training had; codes that it never had get the frequencies of the others."""

    table: Tensor

    def __init__(self, shares: Sequence[float]) -> None:
        super().__init__()
        frequencies = torch.tensor(shares, dtype=torch.float32)
        seen = frequencies > 0
        table = torch.eye(len(shares))
        table[~seen] = frequencies
        self.register_buffer("table", table[:, seen].contiguous())
        self.width = int(seen.sum())

    def forward(self, codes: Tensor) -> Tensor:
        """[n] codes to [n, width]."""
        return nn.functional.embedding(codes, self.table)


class InputLayer(nn.Module):
    """Encoded rows as one flat vector: numbers through their embedding, flags as they are, categories one-hot where
    they are few and through learned embeddings where they are many.

    Args:
        shape: of the inputs.
        number_embedding: [n, numbers] -> [n, numbers, d]; None leaves numbers as they are.
        number_width: d, 1 without embedding.
        max_one_hot: most categories of a column that is encoded one-hot.
        embedding_width: of a learned category embedding.
    """

    def __init__(
        self,
        shape: InputShape,
        number_embedding: nn.Module | None,
        number_width: int,
        *,
        max_one_hot: int,
        embedding_width: int,
    ) -> None:
        super().__init__()
        self.number_embedding = number_embedding
        self.categories = nn.ModuleList()
        self.widths = [number_width] * shape.numbers + [1] * shape.flags
        """Width of the part of each input, in order."""
        for shares in shape.category_shares:
            few = sum(share > 0 for share in shares) <= max_one_hot
            one_hot = OneHot(shares) if few else None
            self.categories.append(one_hot or CategoryEmbedding(shares, embedding_width))
            self.widths.append(one_hot.width if one_hot else embedding_width)

    def forward(self, inputs: Inputs) -> Tensor:
        """[n, sum(widths)]."""
        numbers = inputs.numbers
        if self.number_embedding is not None:
            numbers = self.number_embedding(numbers).flatten(1)
        columns = [module(inputs.categories[:, place]) for place, module in enumerate(self.categories)]
        return torch.cat([numbers, inputs.flags, *columns], dim=1)
