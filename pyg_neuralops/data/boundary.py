"""The boundary of a mesh of 3D cells."""

from __future__ import annotations

import torch
from torch import Tensor

from .cells import CELLS
from .mesh_data import MeshData


def boundary_sides(mesh: MeshData) -> list[Tensor]:
    """Sides of 3D cells that belong to one cell only: triangles ``[n, 3]``, then quadrilaterals ``[m, 4]``.

    Corners are in order around each side. Types of cells may be mixed.
    """
    found = []
    for corners in (3, 4):
        sides = [
            cells.t().long()[:, list(side)]
            for name, cells in mesh.cells.items()
            if CELLS[name].dim == 3
            for side in CELLS[name].sides
            if len(side) == corners
        ]
        if sides:
            every = torch.cat(sides)
            _, inverse, counts = every.sort(1).values.unique(dim=0, return_inverse=True, return_counts=True)
            found.append(every[counts[inverse] == 1])
    return found
