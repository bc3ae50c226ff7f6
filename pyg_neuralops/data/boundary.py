"""The boundary of a mesh: sides of cells that belong to one cell only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from .cells import CELLS
from .mesh_data import MeshData


def boundary_sides(mesh: MeshData, dim: int = 3) -> list[Tensor]:
    """Sides of the cells of dimension ``dim`` that belong to one of these cells only, as node numbers.

    In 3D triangles ``[n, 3]``, then quadrilaterals ``[m, 4]``; in 2D edges ``[n, 2]``; in 1D end points ``[n, 1]``.
    Corners are in order around each side. Types of cells may be mixed; a side that names so few nodes that it has no
    extent, as collapsed cells have, is left out.
    """
    return [sides for sides, _ in sides_with_centres(mesh, dim)]


def sides_with_centres(mesh: MeshData, dim: int) -> list[tuple[Tensor, Tensor]]:
    """The :func:`boundary_sides` ``[n, corners]``, each list with the centres of their cells, ``[n, D]`` in float64."""
    kinds = {name: cells.long() for name, cells in mesh.cells.items() if CELLS[name].dim == dim}
    pos = mesh.pos.detach().double()
    middle = {name: pos[cells].mean(0) for name, cells in kinds.items()}
    sides, centres = [], []
    for corners in (1, 2, 3, 4):
        parts = [(name, side) for name in kinds for side in CELLS[name].sides if len(side) == corners]
        if parts:
            sides.append(torch.cat([kinds[name][list(side)].t() for name, side in parts]))
            centres.append(torch.cat([middle[name] for name, _ in parts]))
    once = _once(sides, len(pos), dim)
    return [(nodes[alone], of[alone]) for nodes, of, alone in zip(sides, centres, once, strict=True)]


def _once(sides: list[Tensor], nodes: int, least: int) -> list[Tensor]:
    """Which rows of node numbers stand alone, as sets, whatever their corners, and name at least ``least`` nodes."""
    if not sides:
        return []
    width = max(each.shape[1] for each in sides)
    rows = torch.cat([pad(each, (0, width - each.shape[1]), value=nodes) for each in sides]).sort(1).values
    rows = rows.masked_fill(pad(rows.diff(dim=1) == 0, (1, 0)), nodes).sort(1).values  # each node once
    number = rows[:, 0]
    for column in rows.t()[1:]:  # sorting numbers is many times faster than sorting rows
        number = (number * (nodes + 1) + column).unique(return_inverse=True)[1]
    once = (number.bincount()[number] == 1) & ((rows < nodes).sum(1) >= least)
    return list(once.split([len(each) for each in sides]))
