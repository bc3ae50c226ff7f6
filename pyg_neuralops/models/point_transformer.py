"""``PointTransformer``: vector attention over patches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch_geometric.nn import PointTransformerConv

from ..nn import MLP, PointMixer
from ..transforms import KNNPatches
from .base import BlockStack, Patched


class PointTransformer(Patched, BlockStack):
    """Point transformer (Zhao et al. 2021, arXiv 2012.09164, eq. 3): attention with one weight per channel over the
    16 nearest points, positions encoded by an MLP; PyG's ``PointTransformerConv``.

    Deviations: all layers run on all points in our pre-LN blocks, where the paper pools and unpools in a U-Net of
    growing width; there is thus no published size, and the one here is that of the other stacks. Positions are
    scaled ones, so patches cannot be periodic.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, ratio: as :class:`LA2Former`.
        patches: as :class:`LA2Former`, not periodic.
        coords: whether the encoder sees positions, "reference-grid" or "fourier" (:class:`Positions`); attention sees
            relative ones in any case.
        measure: False or "auto", which is the same here: nodes do not count by weight in PyG's softmax.
    """

    weighs = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 8,
        patches: KNNPatches | Mapping[str, Any] | int = 16,
        coords: bool | str = True,
        ratio: float = 2,
        measure: bool | str = False,
    ):
        width = hidden_channels

        def make_mixer(layer: int) -> PointMixer:
            # A patch holds its own centre already.
            conv = PointTransformerConv(
                width, width, MLP(pos_dim, width, width), MLP(width, width, width), add_self_loops=False
            )
            return PointMixer(conv)

        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=width,
            num_layers=num_layers,
            make_mixer=make_mixer,
            coords=coords,
            ratio=ratio,
            measure=measure,
        )
        self.patches = KNNPatches.of(patches)
        if self.patches.period:
            raise ValueError(f"period={self.patches.period}; positions are scaled here, so patches cannot be periodic")
