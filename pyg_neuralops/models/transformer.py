"""``Transformer``: full softmax attention, the reference on small meshes."""

from __future__ import annotations

from torch_geometric.data import Data

from ..nn import FullAttention
from .base import BlockStack


class Transformer(BlockStack):
    """Pre-LN transformer with full softmax attention over the nodes of a sample (arXiv 1706.03762), O(N²) time.

    The upper reference where meshes are small. Its size is that of the other stacks, not a published one.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, heads, coords, ratio, measure: as
            :class:`LA2Former`.
        max_nodes: most nodes of a sample; larger ones are refused instead of taking hours.

    Raises:
        ValueError: if heads does not divide hidden_channels; in prepare and forward, for a sample that is too large.
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
        max_nodes: int = 16384,
        coords: bool | str = True,
        ratio: float = 2,
        measure: bool | str = False,
    ):
        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=lambda layer: FullAttention(hidden_channels, heads=heads),
            coords=coords,
            ratio=ratio,
            measure=measure,
        )
        self.heads, self.max_nodes = heads, max_nodes

    def prepare(self, data: Data) -> Data:
        ptr = data.get("ptr")
        largest = len(data.pos) if ptr is None else int(ptr.diff().max())
        if largest > self.max_nodes:
            raise ValueError(
                f"a sample has {largest} nodes, {largest**2:,} pairs; full attention was built for max_nodes="
                f"{self.max_nodes}. Raise it, or choose a model whose cost is linear, such as 'la2former' or 'lrsa'"
            )
        return super().prepare(data)
