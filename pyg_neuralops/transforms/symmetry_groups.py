"""Rotations and reflections, as orthogonal matrices: groups by name, and random elements of them."""

from __future__ import annotations

from itertools import permutations, product

import torch
from torch import Tensor

CONTINUOUS = {
    "rotations": "every rotation",
    "isometries": "every rotation, and these after a reflection",
}
FINITE = {
    "quarter-turns": "rotations that exchange axes: 4 in 2D, 24 in 3D",
    "square": "symmetries of the square (8) or cube (48), reflections among them",
    "mirrors": "reflections of single axes, and their products: 2^D",
    "identity": "nothing, for translations and scales alone",
}
CLOSE = 1e-6
"""How far matrices of a user's own may be from orthogonal ones, and products from elements."""


def check_group(group: str | Tensor) -> None:
    """Raise unless ``group`` is a name of these, or orthogonal matrices ``[G, D, D]``.

    Raises:
        ValueError: saying what there is.
    """
    if isinstance(group, str):
        if group not in CONTINUOUS | FINITE:
            raise ValueError(f"group={group!r}; choose from {[*CONTINUOUS, *FINITE]}, or give matrices [G, D, D]")
        return
    if not isinstance(group, Tensor) or group.dim() != 3 or len(group) == 0 or group.shape[1] != group.shape[2]:
        found = list(group.shape) if isinstance(group, Tensor) else type(group).__name__
        raise ValueError(f"group is {found}; give a name, or a tensor of matrices [G, D, D]")
    matrices = group.double()
    off = (matrices @ matrices.mT - torch.eye(group.shape[1], dtype=torch.float64)).abs().amax((1, 2)) > CLOSE
    if off.any():
        raise ValueError(f"matrix {int(off.nonzero()[0])} of the group is not orthogonal to {CLOSE}")


def elements(group: str | Tensor, dim: int) -> Tensor:
    """All elements of a finite group, ``[G, D, D]`` float64, the identity among them.

    Raises:
        ValueError: for a group without end, or matrices of another dimension.
    """
    if isinstance(group, Tensor):
        if group.shape[1] != dim:
            raise ValueError(f"the group has matrices of {group.shape[1]} dimensions; the sample is in {dim}D")
        return group.double()
    if group in CONTINUOUS:
        raise ValueError(f"the group {group!r} has no end; its finite ones are {list(FINITE)}")
    eye = torch.eye(dim, dtype=torch.float64)
    if group == "identity":
        return eye[None]
    orders = [tuple(range(dim))] if group == "mirrors" else list(permutations(range(dim)))
    signs = torch.tensor(list(product((1.0, -1.0), repeat=dim)), dtype=torch.float64)
    found = torch.cat([signs[:, :, None] * eye[list(order)] for order in orders])
    return found[torch.linalg.det(found) > 0] if group == "quarter-turns" else found


def draw(group: str | Tensor, dim: int) -> Tensor:
    """One element, every one equally likely, of torch's global generator. ``-> [D, D]`` float64"""
    if isinstance(group, Tensor) or group in FINITE:
        found = elements(group, dim)
        return found[int(torch.randint(len(found), ()))]
    turn, upper = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64))
    turn = turn * upper.diagonal().sign()  # uniform, Mezzadri 2007
    if group == "rotations" and torch.linalg.det(turn) < 0:
        turn[:, 0] = -turn[:, 0]
    return turn


def check_closed(group: str | Tensor, dim: int) -> None:
    """Raise unless the products of a group's matrices are among them.

    Raises:
        ValueError: naming two whose product is not; as :func:`elements`.
    """
    found = elements(group, dim)
    made = (found[:, None] @ found).flatten(0, 1).flatten(1)
    alone = torch.cdist(made, found.flatten(1), compute_mode="donot_use_mm_for_euclid_dist").amin(1) > 10 * CLOSE
    if alone.any():
        one, two = divmod(int(alone.nonzero()[0]), len(found))
        raise ValueError(f"the matrices are no group: the product of {one} and {two} is not among them")
