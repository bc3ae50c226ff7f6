"""``FLARE``: a stack of attention routed through latents."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..nn import Block, FLAREAttention, ResidualMLP
from ..nn.initial import small_linear
from .base import BlockStack

PUBLISHED_WIDTH = 64


class FLARE(BlockStack):
    """FLARE (Puri et al. 2025, arXiv 2508.12594): 8 blocks, 64 channels, 8 heads; 64 latents for Elasticity, 128 for
    Pipe, 256 for Airfoil and Darcy (there with 16 heads) in the authors' scripts.

    As published: pre-LN blocks, residual MLPs of three hidden layers for K, V and the feed-forward, of two for
    encoder and decoder, linear weights from N(0, 0.02²) (below 64 channels :func:`scaled_std` of it). Deviation:
    exact GELU for its tanh approximation. The authors train with clip=1.0, pct_start=0.1, div=1e4 and ema=0.999,
    as the recipes do.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, heads, coords, measure: as :class:`LA2Former`.
        num_latents: M.

    Raises:
        ValueError: as :class:`FLAREAttention`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 64,
        num_layers: int = 8,
        heads: int = 8,
        num_latents: int = 64,
        coords: bool | str = True,
        measure: bool | str = False,
    ):
        width = hidden_channels
        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=width,
            num_layers=num_layers,
            make_mixer=lambda layer: FLAREAttention(width, heads=heads, num_latents=num_latents),
            coords=coords,
            make_block=lambda mixer: Block(
                width, mixer, mlp=ResidualMLP(width, width, hidden_channels=width, num_layers=3, ends=True)
            ),
            measure=measure,
        )
        self.heads, self.num_latents = heads, num_latents
        ends: dict[str, Any] = {"hidden_channels": width, "num_layers": 2, "ends": True}
        self.encoder = ResidualMLP(in_channels + self.positions.channels, width, **ends)
        self.decoder = nn.Sequential(nn.LayerNorm(width), ResidualMLP(width, out_channels, **ends))
        small_linear(self, width, PUBLISHED_WIDTH)
