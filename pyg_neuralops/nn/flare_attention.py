"""``FLAREAttention``: attention routed through M latents, two fused calls and nothing between."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data import Mesh
from .heads import check_heads
from .initial import Layer
from .mlp import ResidualMLP
from .ragged import gather, scatter, split_heads


class FLAREAttention(Layer):
    r"""FLARE (Puri et al. 2025, arXiv 2508.12594), O(N M).

    .. math:: Z = \mathrm{SDPA}(P, K, V), \qquad y = W_o \, \mathrm{SDPA}(K, P, Z)

    per head with scale 1: encoding and decoding share one matrix of scores :math:`P K^\top`, so the mixer is
    one attention matrix of rank M. K and V come from residual MLPs; every head has its own M learned queries P,
    and the latents are not processed further.

    Args:
        channels: C. heads: H, a divisor of C. num_latents: M. num_layers: hidden layers of the K and V MLPs.

    Shapes: ``x [N, C], mesh -> [N, C]``. Padding takes no part.

    Raises:
        ValueError: if heads does not divide channels or num_latents < 1.
    """

    def __init__(self, channels: int, *, heads: int = 8, num_latents: int = 64, num_layers: int = 3):
        super().__init__()
        self.heads, width = heads, check_heads(channels, heads)
        if num_latents < 1:
            raise ValueError(f"num_latents={num_latents}; it must be at least 1")
        self.query = nn.Parameter(torch.empty(heads, num_latents, width))
        self.k, self.v = (
            ResidualMLP(channels, channels, hidden_channels=channels, num_layers=num_layers, ends=True)
            for _ in range(2)
        )
        self.out = nn.Linear(channels, channels)
        self.reset_own()

    def reset_own(self) -> None:
        nn.init.normal_(self.query, std=0.1)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        k, v = (split_heads(part(x), self.heads) for part in (self.k, self.v))  # [N, H, d]
        z = gather(self.query, k, v, mesh, scale=1.0)  # [B, H, M, d]
        y = scatter(k, self.query.expand_as(z), z, mesh, scale=1.0)  # [N, H, d]
        return self.out(y.flatten(1))

    def extra_repr(self) -> str:
        return f"heads={self.heads}, num_latents={self.query.shape[1]}"
