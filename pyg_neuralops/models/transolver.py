"""``Transolver``: a stack of Physics-Attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..nn import PhysicsAttention
from ..nn.initial import small_linear
from .base import BlockStack


class Transolver(BlockStack):
    """Transolver (Wu et al. 2024, arXiv 2402.02366): 8 layers, 128 channels, 8 heads, 64 slices and feed-forward
    ratio 1 in the authors' scripts (Navier-Stokes: 256 channels, 32 slices).

    As published: pre-LN blocks, two-layer encoder of width 2 C, a learned placeholder added to its output, LayerNorm
    and one linear layer as decoder, linear weights from N(0, 0.02²); 713,665 parameters for Elasticity. Deviation:
    no dropout (0 in their scripts), and the slice layers keep their orthogonal start.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, heads, coords, ratio: as
            :class:`LA2Former`.
        num_slices: G.
        structured: whether slices are made by convolutions; nodes must then be structured grids
            (``data.grid_shape``).

    Raises:
        ValueError: as :class:`PhysicsAttention`; in forward, for structured=True without grids.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        num_slices: int = 64,
        structured: bool = False,
        coords: bool | str = True,
        ratio: float = 1,
    ):
        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=lambda layer: PhysicsAttention(
                hidden_channels, heads=heads, num_slices=num_slices, structured=structured, pos_dim=pos_dim
            ),
            coords=coords,
            ratio=ratio,
        )
        self.heads, self.num_slices, self.structured = heads, num_slices, structured
        self.encoder = nn.Sequential(self.encoder, Placeholder(hidden_channels))
        self.decoder = nn.Sequential(nn.LayerNorm(hidden_channels), nn.Linear(hidden_channels, out_channels))
        self.apply(small_linear)
        for module in self.modules():
            if isinstance(module, PhysicsAttention):
                module.reset_parameters()


class Placeholder(nn.Module):
    """Adds one learned vector to every node, ``[N, C] -> [N, C]``."""

    def __init__(self, channels: int):
        super().__init__()
        self.vector = nn.Parameter(torch.rand(channels) / channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.vector
