"""Attention that can be traced: the package's own asks for the number of rows, which tracing would write down."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch


class TracedAttention(torch.nn.Module):
    """What `rtdl_revisiting_models.MultiheadAttention` computes when it scores, without compression of keys."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self._original, self._heads = original, original._n_heads

    def forward(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """[n, tokens, d] from [n, tokens, d] of both."""
        own = self._original
        q, k, v = (self._by_head(part) for part in (own.W_q(queries), own.W_k(keys), own.W_v(keys)))
        chances = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1)
        found = (chances @ v).transpose(1, 2).flatten(2)
        return found if own.W_out is None else own.W_out(found)

    def _by_head(self, tokens: torch.Tensor) -> torch.Tensor:
        """[n, tokens, d] to [n, heads, tokens, d / heads]."""
        rows, count = tokens.shape[:2]
        return tokens.reshape(rows, count, self._heads, -1).transpose(1, 2)


def traceable(network: torch.nn.Module) -> torch.nn.Module:
    """The network, or a copy in which attention can be traced."""
    import rtdl_revisiting_models  # noqa: PLC0415 - only networks of one kind need it

    wanted = rtdl_revisiting_models.MultiheadAttention
    if not any(isinstance(module, wanted) for module in network.modules()):
        return network
    copied = copy.deepcopy(network)
    for module in list(copied.modules()):
        for name, part in module.named_children():
            if isinstance(part, wanted):
                setattr(module, name, TracedAttention(part))
    return copied
