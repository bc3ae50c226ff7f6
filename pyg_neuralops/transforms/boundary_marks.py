"""``BoundaryMarks``: which nodes lie on the boundary."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data.datapipes import functional_transform

from ..data import MeshData, boundary_sides
from .node_features import NodeFeatures, one_column


@functional_transform("boundary_marks")
class BoundaryMarks(NodeFeatures):
    """Append flags to ``x``: 1 at the nodes of the boundary and 0 elsewhere, or one channel for each named mark.

    The boundary is that of the cells (of a surface in 3D its rim); marks are node fields of the sample, and no cells
    are needed for them.

    Args:
        marks: names of node fields ``[N]``, such as ("inlet", "wall"): 1 where they are not 0. None for the boundary.

    Raises:
        ValueError: for a batch, a sample without cells where these are needed, or a mark that is no node field.
    """

    def __init__(self, marks: Sequence[str] | None = None):
        if isinstance(marks, str) or (marks is not None and not marks):
            raise ValueError(f"marks={marks!r}; give a list of names, or None for the boundary")
        self.marks = None if marks is None else tuple(marks)

    def names(self, pos_dim: int) -> tuple[str, ...]:
        return ("boundary",) if self.marks is None else self.marks

    def values(self, data: MeshData) -> Tensor:
        if self.marks is not None:
            return torch.stack([one_column(data, name, type(self).__name__) for name in self.marks], 1)
        flags = torch.zeros(data.num_nodes, 1, dtype=torch.bool, device=data.pos.device)
        for sides in boundary_sides(data, self.cells_dim(data)):
            flags[sides.flatten()] = True
        return flags

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({'' if self.marks is None else list(self.marks)})"
