"""``PatchMixer``: a patch attention as a mixer."""

from __future__ import annotations

from torch import Tensor

from ..data import Mesh
from .initial import Layer
from .knn_attention import KNNAttention


class PatchMixer(Layer):
    """Runs a :class:`KNNAttention` on the patches of the mesh, as tiles where there are any.

    Shapes: ``x [N, C], mesh -> [N, C]``.
    """

    def __init__(self, attention: KNNAttention):
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        on_tiles = mesh.tiles is not None and self.attention.soft_mask != "rank"
        adj = mesh.tiles if on_tiles else mesh.patch_index
        return self.attention(x, mesh.pos, adj, mesh.reach, mesh.period)
