"""FT-Transformer: each input is a token, and attention runs over the tokens of a row.

Gorishniy, Rubachev, Khrulkov, Babenko 2021, "Revisiting Deep Learning Models for Tabular Data" (NeurIPS),
arXiv:2106.11959, section 3.3; the blocks are those of the authors' package `rtdl_revisiting_models` (Apache-2.0).
"""

from __future__ import annotations

import rtdl_revisiting_models
import torch
from torch import Tensor, nn

from .network_base import CategoryEmbedding, Inputs, InputShape, Network, ParameterGroup


class FTTransformer(Network):
    """FT-Transformer, see the module.

    Args:
        shape: of the inputs.
        outputs: classes, or 1.
        n_blocks: transformer blocks.
        d_block: width of a token, a multiple of `attention_n_heads`.
        attention_n_heads: heads.
        attention_dropout: on the attention map.
        ffn_d_hidden_multiplier: hidden width of the feed-forward part, in multiples of d_block.
        ffn_dropout: within the feed-forward part.
        residual_dropout: on each residual branch.
    """

    def __init__(
        self,
        shape: InputShape,
        outputs: int,
        *,
        n_blocks: int,
        d_block: int,
        attention_n_heads: int,
        attention_dropout: float,
        ffn_d_hidden_multiplier: float,
        ffn_dropout: float,
        residual_dropout: float,
    ) -> None:
        super().__init__()
        values = shape.numbers + shape.flags
        bound = d_block**-0.5
        # the tokenizer of section 3.3: a direction and a bias for each value, a vector and a bias for each category
        self.row_token = nn.Parameter(torch.empty(d_block).uniform_(-bound, bound))
        self.direction = nn.Parameter(torch.empty(values, d_block).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(values + len(shape.category_shares), d_block).uniform_(-bound, bound))
        self.categories = nn.ModuleList(CategoryEmbedding(shares, d_block) for shares in shape.category_shares)
        for embedding in self.categories.parameters():
            nn.init.uniform_(embedding, -bound, bound)
        self.backbone = rtdl_revisiting_models.FTTransformerBackbone(
            d_out=outputs,
            n_blocks=n_blocks,
            d_block=d_block,
            attention_n_heads=attention_n_heads,
            attention_dropout=attention_dropout,
            ffn_d_hidden_multiplier=ffn_d_hidden_multiplier,
            ffn_dropout=ffn_dropout,
            residual_dropout=residual_dropout,
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """See Network."""
        values = torch.cat([inputs.numbers, inputs.flags], dim=1)[..., None] * self.direction
        categories = [module(inputs.categories[:, place])[:, None] for place, module in enumerate(self.categories)]
        tokens = torch.cat([values, *categories], dim=1) + self.bias
        row = self.row_token.expand(tokens.shape[0], 1, -1)
        logits: Tensor = self.backbone(torch.cat([row, tokens], dim=1))
        return logits[:, None, :]

    def parameter_groups(self) -> list[ParameterGroup]:
        """No weight decay on the tokenizer, the norms and the biases (section 4.3)."""
        plain = {self.row_token, self.direction, self.bias, *self.categories.parameters()}
        plain |= {parameter for parameter in self.backbone.parameters() if parameter.ndim == 1}
        decayed = [parameter for parameter in self.parameters() if parameter not in plain]
        rest = [parameter for parameter in self.parameters() if parameter in plain]
        return [ParameterGroup(decayed), ParameterGroup(rest, weight_decay_factor=0.0)]
