"""``PatchMixer``: a patch attention as a mixer."""

from __future__ import annotations

from torch import Tensor

from ..data import Mesh
from .initial import Layer
from .knn_attention import KNNAttention


class PatchMixer(Layer):
    """Runs a :class:`KNNAttention` on the patches of the mesh, as tiles where there are any.

    Shapes: ``x [N, C], mesh with patches -> [N, C]``.

    Raises:
        ValueError: in forward, if the mesh has no patches.
    """

    def __init__(self, attention: KNNAttention):
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        patches = mesh.patches
        if patches is None:
            raise ValueError("the mesh has no patches; apply KNNPatches (model.prepare does)")
        adj = patches.index if patches.tiles is None else patches.tiles
        return self.attention(x, mesh.pos, adj, patches.reach, patches.period)
