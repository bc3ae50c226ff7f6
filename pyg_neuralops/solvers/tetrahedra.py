"""Tetrahedra of a jittered lattice in a smoothly deformed cube; also a million points in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np


@dataclass(frozen=True)
class TetrahedralMesh:
    """A conforming mesh of a deformed unit cube.

    Shapes:
        ``points [V, 3]`` float64, ``V = per_side³``, the last coordinate's index the fastest;
        ``tetrahedra [T, 4]`` int32, ``T = 6 (per_side - 1)³``, of positive volume; ``boundary [V]`` bool;
        ``damped`` points whose jitter was made smaller to keep the volumes positive.
    """

    points: np.ndarray
    tetrahedra: np.ndarray
    boundary: np.ndarray
    damped: int


def kuhn_tetrahedra(per_side: int) -> np.ndarray:
    """Six tetrahedra for each cell of a lattice of ``per_side³`` points, ``[T, 4]`` int32, of positive volume.

    Each walks from a cell's first corner to the opposite one along the three axes, in one of their six orders
    (Kuhn 1960); neighbouring cells then cut their common side along the same diagonal.
    """
    number = np.arange(per_side**3, dtype=np.int32).reshape((per_side,) * 3)
    start, stride = number[:-1, :-1, :-1].ravel(), np.array([per_side**2, per_side, 1], np.int32)
    parts = []
    for order in permutations(range(3)):
        corners = start[:, None] + np.concatenate([[0], np.cumsum(stride[list(order)], dtype=np.int32)])
        odd = np.linalg.det(np.eye(3)[list(order)]) < 0
        parts.append(corners[:, [0, 1, 3, 2]] if odd else corners)
    return np.concatenate(parts).astype(np.int32)


def volumes(points: np.ndarray, tetrahedra: np.ndarray, block: int = 1 << 18) -> np.ndarray:
    """Signed volume of each tetrahedron, ``[T]``; in blocks, so that memory stays small."""
    result = np.empty(len(tetrahedra))
    for first in range(0, len(tetrahedra), block):
        a, b, c, d = points[tetrahedra[first : first + block]].transpose(1, 0, 2)
        result[first : first + block] = np.einsum("ij,ij->i", np.cross(b - a, c - a), d - a) / 6
    return result


def deform(points: np.ndarray, bulge: np.ndarray) -> np.ndarray:
    """``x + bulge sin(pi x)``, the sine by component, ``[V, 3]``. The image of the unit cube has volume 1.

    The volume is the integral of det(1 + bulge diag(pi cos(pi x))) over the cube. Column j depends on x_j alone
    and is the unit vector on average, and a determinant is linear in each column.
    """
    return points + np.sin(np.pi * points) @ bulge.T


def random_bulge(rng: np.random.Generator, deviation: float = 0.03) -> tuple[np.ndarray, int]:
    """Entries N(0, deviation²) for :func:`deform`, drawn again where they fold the cube, and how often.

    The determinant is linear in each cosine, so its minimum is found at the corners, where all are 1 or -1.
    """
    cosines = np.pi * np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), axis=-1).reshape(-1, 1, 3)
    for redraws in range(100):
        bulge = rng.normal(0.0, deviation, (3, 3))
        if np.linalg.det(np.eye(3) + bulge * cosines).min() > 0.3:
            return bulge, redraws
    raise RuntimeError(f"100 draws with deviation={deviation} all fold the cube; it must be smaller")


def deformed_lattice(
    rng: np.random.Generator, per_side: int, jitter: float = 0.2, bulge: np.ndarray | None = None, least: float = 0.05
) -> TetrahedralMesh:
    """A lattice whose inner points are moved by U[-jitter, jitter]³ spacings, then deformed.

    Tetrahedra below ``least`` of the mean volume get half the jitter at their corners until none is left.

    Args:
        rng: source of the jitter.
        per_side: points along a side.
        jitter: in spacings.
        bulge: ``[3, 3]``, see :func:`deform`; none when None.
        least: smallest volume allowed, relative to the mean.

    Raises:
        ValueError: if ``per_side`` is below 3, or ``jitter`` not in [0, 0.5).
        RuntimeError: if the deformation folds the lattice, with or without jitter.
    """
    if per_side < 3 or not 0 <= jitter < 0.5:
        raise ValueError(f"per_side={per_side}, jitter={jitter}; they must be at least 3 and in [0, 0.5)")
    axis = np.linspace(0.0, 1.0, per_side)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    boundary = ((lattice == 0) | (lattice == 1)).any(axis=1)
    shift = rng.uniform(-jitter, jitter, lattice.shape) / (per_side - 1) * ~boundary[:, None]
    tetrahedra, damped = kuhn_tetrahedra(per_side), np.zeros(len(lattice), bool)
    for _ in range(20):
        points = lattice + shift if bulge is None else deform(lattice + shift, bulge)
        small = volumes(points, tetrahedra) < least / len(tetrahedra)
        if not small.any():
            return TetrahedralMesh(points, tetrahedra, boundary, int(np.count_nonzero(damped)))
        corners = np.unique(tetrahedra[small])
        shift[corners] /= 2
        damped[corners] = True
    raise RuntimeError(f"{np.count_nonzero(small)} tetrahedra stay below {least} of the mean volume")
