"""TabM: one network that holds an ensemble of MLPs which share most of their weights.

Gorishniy, Kotelnikov, Babenko 2025, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling"
(ICLR), arXiv:2410.24210, section 3; the layers are those of the authors' package `tabm` (Apache-2.0). Numbers are
embedded by the authors' `rtdl_num_embeddings` (Apache-2.0), after Gorishniy et al. 2022, arXiv:2203.05556.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import rtdl_num_embeddings
import tabm
import torch
from torch import Tensor, nn

from .network_base import InputLayer, Inputs, InputShape, Network, ParameterGroup


class TabM(Network):
    """TabM, see the module. The members' probabilities are averaged, each member is trained by its own loss.

    Args:
        shape: of the inputs.
        outputs: classes, or 1.
        k: members.
        n_blocks: hidden layers.
        d_block: width of a hidden layer.
        dropout: after each hidden layer.
        arch_type: tabm, tabm-mini or tabm-packed of the paper.
        numeric_embeddings: piecewise_linear (2022, equation 1, in the version of the TabM paper), periodic (2022,
            section 3.3) or none.
        bins: edges of the bins of each number, for piecewise-linear embeddings.
        d_embedding: width of the embedding of a number.
        max_one_hot: most categories of a column that is encoded one-hot.
        category_embedding: width of a learned category embedding.
    """

    def __init__(
        self,
        shape: InputShape,
        outputs: int,
        *,
        k: int,
        n_blocks: int,
        d_block: int,
        dropout: float,
        arch_type: Literal["tabm", "tabm-mini", "tabm-packed"],
        numeric_embeddings: Literal["piecewise_linear", "periodic", "none"],
        bins: Sequence[Sequence[float]],
        d_embedding: int,
        max_one_hot: int,
        category_embedding: int,
    ) -> None:
        super().__init__()
        embedding = _number_embedding(numeric_embeddings, shape.numbers, d_embedding, bins)
        self.input = InputLayer(
            shape,
            embedding,
            d_embedding if embedding else 1,
            max_one_hot=max_one_hot,
            embedding_width=category_embedding,
        )
        packed = arch_type == "tabm-packed"
        self.backbone = tabm.make_tabm_backbone(
            d_in=sum(self.input.widths),
            n_blocks=n_blocks,
            d_block=d_block,
            dropout=dropout,
            k=k,
            arch_type=arch_type,
            # the package's own defaults; one random factor for the whole embedding of an input (section 3.4)
            start_scaling_init=None if packed else "normal" if embedding else "random-signs",
            start_scaling_init_chunks=None if packed else self.input.widths,
        )
        self.output = tabm.LinearEnsemble(d_block, outputs, k=k)
        self.members = k

    def forward(self, inputs: Inputs) -> Tensor:
        """See Network."""
        if inputs.flags.ndim == 3:
            flat = Inputs(*(tensor.flatten(0, 1) for tensor in inputs))
            x = self.input(flat).unflatten(0, (-1, self.members))
        else:
            x = self.input(inputs)[:, None, :].expand(-1, self.members, -1)
        logits: Tensor = self.output(self.backbone(x))
        return logits

    def parameter_groups(self) -> list[ParameterGroup]:
        """Weight decay on every parameter, as the authors train it."""
        return [ParameterGroup(list(self.parameters()))]


def _number_embedding(kind: str, numbers: int, width: int, bins: Sequence[Sequence[float]]) -> nn.Module | None:
    if not numbers or kind == "none":
        return None
    embedding: nn.Module
    if kind == "periodic":
        embedding = rtdl_num_embeddings.PeriodicEmbeddings(numbers, width, lite=False)
    else:
        edges = [torch.tensor(column, dtype=torch.float32) for column in bins]
        embedding = rtdl_num_embeddings.PiecewiseLinearEmbeddings(edges, width, activation=False, version="B")
    return embedding
