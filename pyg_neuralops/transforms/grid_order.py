"""The order of a grid's nodes after the axes were exchanged or reflected."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from ..data.mesh import common_shape
from .symmetry_groups import CLOSE


def grid_order(data: Data, turn: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Which node comes to each place so that a grid turned by ``turn [D, D]`` runs along the axes as before.

    Args:
        data: a sample, or batch, of positions before they are turned.

    Returns:
        Node numbers ``[N]``, and the shape of the new grid.

    Raises:
        ValueError: if the samples' grids differ, do not run along the axes of space, or do not after ``turn``.
    """
    shape, dim = common_shape(data.grid_shape), data.pos.shape[1]
    if shape is None:
        raise ValueError("the samples of the batch are grids of different shapes; take one at a time")
    drop = "; if no model reads the grid, remove grid_shape, and the samples are meshes or clouds"
    pos = data.pos.detach().double().view(-1, *shape, dim)
    directions = _directions(pos) if len(shape) == dim else None
    if directions is None:
        raise ValueError(f"the grid {shape} does not run along the {dim} axes of space; it cannot be turned{drop}")
    # Row a of the matrix says which old axis becomes axis a, and in which direction.
    signs, source = turn.sum(1).round(), turn.abs().argmax(1)
    whole = turn.new_zeros(dim, dim).scatter(1, source[:, None], signs[:, None])
    if (whole - turn).abs().max() > CLOSE or len(source.unique()) < dim:
        raise ValueError(
            "the grid does not run along the axes of space after a turn that is not of 90 degrees; choose the group "
            f"'square', 'quarter-turns' or 'mirrors'{drop}"
        )
    old = source.tolist()
    flipped = [axis + 1 for axis in range(dim) if signs[axis] * directions[old[axis]] != directions[axis]]
    number = torch.arange(len(data.pos), device=data.pos.device).view(-1, *shape)
    number = number.permute(0, *(axis + 1 for axis in old)).flip(flipped)
    return number.flatten(), tuple(number.shape[1:])


def _directions(pos: Tensor) -> list[int] | None:
    """Whether each axis of grids ``[B, *shape, D]`` runs up (1) or down (-1) its axis of space; None if along none."""
    found = []
    for axis in range(pos.shape[-1]):
        steps = pos.diff(dim=axis + 1).flatten(0, -2)
        own = steps[:, axis]
        others = steps.abs().sum(1) - own.abs()
        up = bool((own > 0).all())
        if len(own) and (not (up or (own < 0).all()) or others.max() > 1e-4 * own.abs().min()):
            return None
        found.append(1 if up else -1)
    return found
