"""Nodes and cells of structured grids."""

from __future__ import annotations

import torch
from torch import Tensor


def unit_grid(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """The grid of ``rows x columns`` nodes on the unit square, boundary included.

    Node ``i * columns + j`` lies at ``(i / (rows - 1), j / (columns - 1))``.

    Returns:
        ``pos [rows * columns, 2]`` float32 and ``quad [4, (rows - 1) * (columns - 1)]`` int64.
    """
    axes = [torch.linspace(0, 1, n, dtype=torch.float64) for n in (rows, columns)]
    pos = torch.cartesian_prod(*axes).float()  # [N, 2]
    return pos, grid_quads(rows, columns)


def grid_quads(rows: int, columns: int) -> Tensor:
    """Cells of a grid whose node ``(i, j)`` has the number ``i * columns + j``.

    Counter-clockwise where i runs along x and j along y.

    Returns:
        ``[4, (rows - 1) * (columns - 1)]`` int64.
    """
    index = torch.arange(rows * columns).view(rows, columns)
    corners = (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:])
    return torch.stack([corner.flatten() for corner in corners])
