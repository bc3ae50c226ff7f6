"""``Transolver``: a stack of Physics-Attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from ..data import Mesh
from ..data.inputs import TIME_CHANNELS
from ..nn import PhysicsAttention, TimeEmbedding
from ..nn.initial import Layer, small_linear
from .base import BlockStack

PUBLISHED_WIDTH = 128
TIMES = ("features", "embedding")


class Transolver(BlockStack):
    """Transolver (Wu et al. 2024, arXiv 2402.02366): 8 layers, 128 channels, 8 heads, 64 slices and feed-forward
    ratio 1 in the authors' scripts (Navier-Stokes: 256 channels, 32 slices).

    As published: pre-LN blocks, two-layer encoder of width 2 C, a learned placeholder added to its output, LayerNorm
    and one linear layer as decoder, linear weights from N(0, 0.02²) (below 128 channels :func:`scaled_std` of it);
    713,665 parameters for Elasticity. Deviations: no dropout (0 in their scripts); the slice layers keep the
    orthogonal start that their code overwrites; the placeholder is added whether there is an input field or not,
    where theirs is for shapes only (it is one more bias).

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, heads, coords, ratio, measure: as
            :class:`LA2Former`.
        num_slices: G.
        structured: whether slices are made by convolutions; nodes must then be structured grids
            (``data.grid_shape``).
        time: what becomes of the time that ends the inputs: "features", encoded with the rest, or "embedding", as in
            the authors' script for Plasticity: :class:`TimeEmbedding` of it is added to the encoder's output.

    Raises:
        ValueError: as :class:`PhysicsAttention`; for an unknown ``time``; in forward, for structured=True without
            grids.
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
        time: str = "features",
        measure: bool | str = False,
    ):
        if time not in TIMES:
            raise ValueError(f"time={time!r}; choose from {list(TIMES)}")
        embeds = time == "embedding"
        if embeds and in_channels < TIME_CHANNELS:
            raise ValueError(f"in_channels={in_channels} with time='embedding'; time alone has {TIME_CHANNELS}")
        super().__init__(
            in_channels - TIME_CHANNELS * embeds,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=lambda layer: PhysicsAttention(
                hidden_channels, heads=heads, num_slices=num_slices, structured=structured, pos_dim=pos_dim
            ),
            coords=coords,
            ratio=ratio,
            measure=measure,
        )
        self.in_channels, self.time = in_channels, time
        self.heads, self.num_slices, self.structured = heads, num_slices, structured
        self.encoder = nn.Sequential(self.encoder, Placeholder(hidden_channels))
        self.decoder = nn.Sequential(nn.LayerNorm(hidden_channels), nn.Linear(hidden_channels, out_channels))
        self.time_embedding = TimeEmbedding(hidden_channels) if embeds else None
        small_linear(self, hidden_channels, PUBLISHED_WIDTH)
        for module in self.modules():
            if isinstance(module, PhysicsAttention):
                module.reset_own()

    def inputs(self, data: Data) -> Tensor:
        if self.time_embedding is not None and data.get("time") is None:
            raise ValueError("the data have no time; the model was built with time='embedding'")
        return super().inputs(data)

    def encode(self, x: Tensor, mesh: Mesh) -> Tensor:
        if self.time_embedding is None:
            return super().encode(x, mesh)
        # The first of the time's features is the time itself.
        fields, time = x[:, :-TIME_CHANNELS], x[:, -TIME_CHANNELS]
        return super().encode(fields, mesh) + self.time_embedding(time)


class Placeholder(Layer):
    """Adds one learned vector to every node, ``[N, C] -> [N, C]``."""

    def __init__(self, channels: int):
        super().__init__()
        self.vector = nn.Parameter(torch.empty(channels))
        self.reset_own()

    def reset_own(self) -> None:
        nn.init.uniform_(self.vector, 0, 1 / len(self.vector))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.vector
