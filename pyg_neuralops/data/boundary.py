"""The boundary of a mesh: sides of cells that belong to one cell only."""

from __future__ import annotations

import torch
from torch import Tensor

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
    pos, found = mesh.pos.detach().double(), []
    for corners in (1, 2, 3, 4):
        parts = [(cells, side) for name, cells in kinds.items() for side in CELLS[name].sides if len(side) == corners]
        if not parts:
            continue
        sides = torch.cat([cells[list(side)].t() for cells, side in parts])
        centres = torch.cat([pos[cells].mean(0) for cells, _ in parts])
        once = _once(sides, len(pos), dim)
        found.append((sides[once], centres[once]))
    return found


def _once(sides: Tensor, nodes: int, least: int) -> Tensor:
    """Which rows of node numbers stand alone, as sets, and name at least ``least`` nodes. ``[n, corners] -> [n]``"""
    ordered = sides.sort(1).values
    number = ordered[:, 0]
    for column in ordered.t()[1:]:  # sorting numbers is many times faster than sorting rows
        number = (number * nodes + column).unique(return_inverse=True)[1]
    return (number.bincount()[number] == 1) & ((ordered.diff(dim=1) != 0).sum(1) + 1 >= least)
