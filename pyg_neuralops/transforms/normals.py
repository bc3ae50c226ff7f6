"""``Normals``: which way the boundary, or a surface, faces at each node."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data.datapipes import functional_transform

from ..data import CELLS, MeshData
from ..data.boundary import sides_with_centres
from .node_features import NodeFeatures, axes

CANCELS = 1e-9
"""Areas of sides that face each other cancel to less than this part of their sum."""


@functional_transform("normals")
class Normals(NodeFeatures):
    """Append unit normals to ``x``, D channels.

    Where cells fill the space, they are those of the boundary, outward, and 0 at nodes inside. A side faces away from
    the centre of its cell (which must be convex). On surfaces in 3D, and curves in 2D, they are those of the cells, on
    the side that the order of the corners says: the right-hand rule, and to the right of the direction of travel. A
    node's normal is the mean over its sides or cells, weighted by their areas, and 0 where these cancel.

    Raises:
        ValueError: for a batch, or a sample whose cells have no normals: none, or curves in 3D.
    """

    def names(self, pos_dim: int) -> tuple[str, ...]:
        return tuple(f"normal_{axis}" for axis in axes(pos_dim))

    def values(self, data: MeshData) -> Tensor:
        dim, pos = self.cells_dim(data), data.pos.detach().double()
        total, area = torch.zeros_like(pos), torch.zeros_like(pos[:, :1])
        if dim == pos.shape[1]:
            outward = [(sides, _outward(pos[sides], centres)) for sides, centres in sides_with_centres(data, dim)]
        elif dim == pos.shape[1] - 1:
            cells = [cells.t().long() for name, cells in data.cells.items() if CELLS[name].dim == dim]
            outward = [(corners, _area_vectors(pos[corners])) for corners in cells]
        else:
            raise ValueError(
                f"cells of {dim} dimension(s) in {pos.shape[1]}D have no normals; surfaces or volumes have"
            )
        for corners, vectors in outward:
            for corner in corners.t():
                total.index_add_(0, corner, vectors)
                area.index_add_(0, corner, vectors.norm(dim=1, keepdim=True))
        size = total.norm(dim=1, keepdim=True)
        return torch.where(size > CANCELS * area, total / size, 0.0)


def _area_vectors(corners: Tensor) -> Tensor:
    """Normals as long as the sides are large: points, segments, triangles, quadrilaterals. ``[n, c, D] -> [n, D]``"""
    if corners.shape[1] == 1:
        return torch.ones_like(corners[:, 0])
    if corners.shape[1] == 2:
        along = corners[:, 1] - corners[:, 0]
        return torch.stack([along[:, 1], -along[:, 0]], 1)
    # The diagonals of a quadrilateral, two edges of a triangle.
    return torch.linalg.cross(corners[:, -2] - corners[:, 0], corners[:, -1] - corners[:, 1]) / 2


def _outward(corners: Tensor, centres: Tensor) -> Tensor:
    vectors = _area_vectors(corners)
    away = ((corners.mean(1) - centres) * vectors).sum(1, keepdim=True)
    return vectors * away.sign()
