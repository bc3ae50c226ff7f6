"""``PointMixer``: a PyG convolution that reads positions, as a mixer."""

from __future__ import annotations

from torch import Tensor, nn

from ..data import Mesh


class PointMixer(nn.Module):
    """Runs a convolution ``conv(x, pos, edge_index)`` on the patches, with scaled positions.

    Such convolutions feed relative positions to MLPs, which want numbers of order one.

    Args:
        conv: a PyG convolution C -> C, such as ``PointTransformerConv``.

    Shapes: ``x [N, C], mesh with patches -> [N, C]``.
    """

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        if mesh.patches is None:
            raise ValueError("the mesh has no patches; apply KNNPatches (model.prepare does)")
        return self.conv(x, mesh.coords.to(x.dtype), mesh.patches.index)
