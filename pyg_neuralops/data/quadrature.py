"""Nodal quadrature weights: what an integral over the mesh gives to each node."""

from __future__ import annotations

import torch
from torch import Tensor

from .mesh_data import MeshData

SPLITS = {"face": [[0, 1, 2]], "quad": [[0, 1, 2], [0, 2, 3], [1, 2, 3], [1, 3, 0]], "tet": [[0, 1, 2, 3]]}
"""Simplices of a cell; a quadrilateral is cut along either diagonal, and each cut counts half."""


def nodal_weights(mesh: MeshData) -> Tensor:
    r"""Weights w with :math:`\sum_i w_i f_i = \int f` for every f that is linear in each simplex, ``[N]``.

    Triangles, quadrilaterals (in the mean of both diagonals) and tetrahedra may be mixed; those of a lower
    dimension than the positions are surfaces. In the positions' unit to the power of the cells' dimension.

    Raises:
        ValueError: if the mesh has no cells.
    """
    if not mesh.cells:
        raise ValueError("the sample has no face, quad or tet; a point cloud has no quadrature weights")
    pos = mesh.pos.double()
    weight = pos.new_zeros(len(pos))
    for name, cells in mesh.cells.items():
        for corners in SPLITS[name]:
            simplices = cells.long()[corners]  # [corners, T]
            edges = pos[simplices[1:]] - pos[simplices[:1]]  # [corners - 1, T, D]
            gram = torch.einsum("itd,jtd->tij", edges, edges)
            # The volume of a simplex of dimension n is sqrt(det Gram) / n!; each corner gets 1 / (n + 1) of it.
            share = gram.det().clamp_min(0).sqrt() / (6 if len(corners) == 3 else 24)
            share = share / 2 if name == "quad" else share
            for corner in simplices:
                weight.index_add_(0, corner, share)
    return weight.to(mesh.pos.dtype)


def with_weights(mesh: MeshData) -> MeshData:
    """The sample with ``weight``, where it has cells and no weights yet."""
    if mesh.cells and mesh.get("weight") is None:
        mesh.weight = nodal_weights(mesh)
    return mesh
