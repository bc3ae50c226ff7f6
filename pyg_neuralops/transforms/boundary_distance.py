"""``BoundaryDistance``: how far the boundary is from each node."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data.datapipes import functional_transform

from ..data import MeshData, boundary_sides
from .closest import closest_offsets
from .node_features import NodeFeatures, axes, one_column


@functional_transform("boundary_distance")
class BoundaryDistance(NodeFeatures):
    """Append the exact Euclidean distance to the boundary to ``x``, in the unit of positions.

    The boundary is that of the cells: edges in 2D, triangles and quadrilaterals in 3D (these as their two triangles at
    the diagonal from the first corner), end points in 1D; of a surface in 3D its rim. Distances are straight, also
    across holes, and in double precision; a node of the boundary has 0.

    Args:
        vector: whether D channels follow with the vector from the node to the closest boundary point; on a medial axis,
            where several are equally close, any one of them.
        mark: a node field of the sample, such as "wall": only sides whose nodes all have it, not 0, are counted.

    Raises:
        ValueError: for a batch, a sample without cells or without (marked) boundary, or a mark that is no node field.
    """

    def __init__(self, *, vector: bool = False, mark: str | None = None):
        self.vector, self.mark = vector, mark

    def names(self, pos_dim: int) -> tuple[str, ...]:
        of = "boundary" if self.mark is None else self.mark
        vector = [f"to_{of}_{axis}" for axis in axes(pos_dim)] if self.vector else []
        return (f"{of}_distance", *vector)

    def values(self, data: MeshData) -> Tensor:
        lists = boundary_sides(data, self.cells_dim(data))
        if self.mark is not None:
            kept = one_column(data, self.mark, type(self).__name__)
            lists = [sides[kept[sides].all(1)] for sides in lists]
        if not any(len(sides) for sides in lists):
            raise ValueError(
                "the mesh has no boundary: its cells close on themselves"
                if self.mark is None
                else f"no side of the boundary has the mark {self.mark!r} at all of its nodes"
            )
        pos = data.pos.detach().double().cpu()
        offsets = torch.zeros_like(pos)
        away = torch.ones(len(pos), dtype=torch.bool)
        away[torch.cat([sides.flatten() for sides in lists]).cpu()] = False
        facets = torch.cat([pos[part.cpu()] for sides in lists for part in _simplices(sides)])  # [M, c, D]
        offsets[away] = closest_offsets(pos[away], facets)
        distance = offsets.norm(dim=1, keepdim=True)
        return (torch.cat([distance, offsets], 1) if self.vector else distance).to(data.pos.device)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(vector={self.vector}, mark={self.mark!r})"


def _simplices(sides: Tensor) -> list[Tensor]:
    return [sides] if sides.shape[1] < 4 else [sides[:, [0, 1, 2]], sides[:, [0, 2, 3]]]
