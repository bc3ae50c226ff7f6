"""``PatchMixer``: a patch attention as a mixer."""

from __future__ import annotations

from torch import Tensor, nn

from ..data import Mesh
from .knn_attention import KNNAttention


class PatchMixer(nn.Module):
    """Runs a :class:`KNNAttention` on the patches of the mesh. ``x [N, C], mesh -> [N, C]``."""

    def __init__(self, attention: KNNAttention):
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        return self.attention(x, mesh.pos, mesh.patch_index, mesh.reach, mesh.period)
