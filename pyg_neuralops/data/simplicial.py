"""``simplicial``: the cells of a mesh cut into simplices that meet face to face."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .cells import CELLS


def simplicial(values: Tensor, cells: Mapping[str, Tensor], dim: int) -> tuple[Tensor, Tensor]:
    """Simplices of all cells of dimension ``dim``, with nodes of their own in the middle of what is no simplex.

    A cell with more than ``dim + 1`` corners is cut from its centre, in 3D its sides with four corners from theirs,
    which are the same from both sides: no diagonal is chosen, so mirrors and renumberings change nothing.

    Args:
        values: at the nodes, ``[N, F]``; positions among them.
        cells: by the names of :data:`CELLS`.

    Returns:
        ``[N + added, F]``, means of corners at the nodes that were added, and simplices ``[T, dim + 1]``.
    """
    added, simplices, squares = [values], [], []
    count = len(values)
    for name, kept in cells.items():
        kind, corners = CELLS[name], kept.long()
        if kind.dim != dim:
            continue
        if kind.corners == dim + 1:
            simplices.append(corners)
            continue
        centre = torch.arange(count, count + corners.shape[1])
        added.append(values[corners].mean(0))
        count += corners.shape[1]
        for side in kind.sides:
            ends = corners[list(side)]
            if len(side) == dim:
                simplices.append(torch.cat([centre[None], ends]))
            else:
                squares.append(torch.cat([centre[None], ends]))  # [1 + 4, cells]
    if squares:
        centre, ends = torch.cat(squares, 1).tensor_split([1])
        number = face_numbers(ends.sort(0).values)
        middle = values.new_empty(int(number.max()) + 1 if len(number) else 0, values.shape[1])
        middle[number] = values[ends].mean(0)
        added.append(middle)
        pairs = ((0, 1), (1, 2), (2, 3), (3, 0))
        simplices += [torch.cat([centre, count + number[None], ends[list(pair)]]) for pair in pairs]
    none = torch.empty(dim + 1, 0, dtype=torch.long)
    return torch.cat(added), torch.cat([none, *simplices], 1).t().contiguous()


def face_numbers(corners: Tensor) -> Tensor:
    """A number for each column of ``corners [c, M]``, sorted: from 0, equal for equal columns. ``-> [M]``"""
    number = corners[0]
    for row in corners[1:]:
        number = torch.unique(number * (int(row.max()) + 1 if len(row) else 1) + row, return_inverse=True)[1]
    return number


def neighbours(simplices: Tensor) -> Tensor:
    """The simplex across the side opposite each corner, -1 where there is none. ``[T, c] -> [T, c]``"""
    count, corners = simplices.shape
    rest = [[k for k in range(corners) if k != c] for c in range(corners)]
    sides = torch.stack([simplices[:, others].sort(1).values for others in rest], 1)  # [T, c, c - 1]
    number = face_numbers(sides.flatten(0, 1).t())
    order = number.argsort(stable=True)
    same = (number[order[1:]] == number[order[:-1]]).nonzero().flatten()
    one, other = order[same], order[same + 1]
    found = torch.full((count * corners,), -1)
    found[one], found[other] = other // corners, one // corners
    return found.view(count, corners)
