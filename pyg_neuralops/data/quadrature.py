"""Nodal quadrature weights: what an integral over the mesh gives to each node."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from .cells import CELLS
from .mesh_data import MeshData
from .prepared import digests, stamped


def nodal_weights(mesh: MeshData) -> Tensor:
    r"""Weights w with :math:`\sum_i w_i f_i = \int f` for every f that is linear in each simplex, ``[N]``.

    Cells of one dimension may be mixed, each in the mean of the ways to cut it into simplices
    (:data:`pyg_neuralops.data.CELLS`); those of a lower dimension than the positions are surfaces or curves. Beside
    cells of a higher dimension, cells of a lower one are boundaries and have no weight. In the positions' unit to the
    power of the cells' dimension.

    Raises:
        ValueError: if the mesh has no cells.
    """
    if not mesh.cells:
        raise ValueError("the sample has no cells; a point cloud has no quadrature weights")
    pos = mesh.pos.double()
    weight = pos.new_zeros(len(pos))
    dim = max(CELLS[name].dim for name in mesh.cells)
    for name, cells in mesh.cells.items():
        if CELLS[name].dim < dim:
            continue
        for corners in CELLS[name].simplices:
            simplices = cells.long()[list(corners)]  # [dim + 1, T]
            edges = pos[simplices[1:]] - pos[simplices[:1]]  # [dim, T, D]
            gram = torch.einsum("itd,jtd->tij", edges, edges)
            # The volume of a simplex of dimension n is sqrt(det Gram) / n!; each corner gets 1 / (n + 1) of it.
            share = gram.det().clamp_min(0).sqrt() / (math.factorial(dim + 1) * CELLS[name].ways)
            for corner in simplices:
                weight.index_add_(0, corner, share)
    return weight.to(mesh.pos.dtype)


def with_weights(mesh: MeshData) -> MeshData:
    """The sample with ``weight``, where it has cells of any extent and no weights of its own.

    Weights made here are made again where positions or cells are others now; ``weight_key`` says what they are of.
    """
    found = mesh.get("weight_key")
    if not mesh.cells or (mesh.get("weight") is not None and found is None):
        return mesh
    now = stamped("cells", digests(mesh, ["pos"], list(mesh.cells)), False)
    if found == now:
        return mesh
    weight = nodal_weights(mesh)
    if weight.max() > 0:
        mesh = copy.copy(mesh)
        mesh.weight, mesh.weight_key = weight, now
    return mesh
