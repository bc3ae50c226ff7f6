"""Polygons with holes, as lists of closed loops ``[n, 2]``; the first is the outer one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Spacing = float | Callable[[np.ndarray], np.ndarray]
"""A length, or a function ``[n, 2] -> [n]`` from points to the length wanted there."""


def spacing_at(spacing: Spacing, points: np.ndarray) -> np.ndarray:
    """The length wanted at each of ``points [n, 2]``, ``[n]``."""
    return np.asarray(spacing(points), float) if callable(spacing) else np.full(len(points), float(spacing))


def area(loops: Sequence[np.ndarray]) -> float:
    """Area of the outer loop less that of the holes, whatever their orientation."""
    x, y = zip(*((loop[:, 0], loop[:, 1]) for loop in loops), strict=True)
    parts = [abs(a @ np.roll(b, -1) - b @ np.roll(a, -1)) / 2 for a, b in zip(x, y, strict=True)]
    return parts[0] - sum(parts[1:])


def contains(loops: Sequence[np.ndarray], points: np.ndarray, block: int = 4096) -> np.ndarray:
    """Whether each of ``points [n, 2]`` lies inside, ``[n]`` bool, by the even-odd rule.

    Points are taken in blocks, so that memory is ``block`` times the number of edges.
    """
    start = np.concatenate(loops)  # [E, 2]
    end = np.concatenate([np.roll(loop, -1, axis=0) for loop in loops])
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])  # horizontal edges are never crossed
    inside = np.empty(len(points), bool)
    for first in range(0, len(points), block):
        x, y = points[first : first + block].T[..., None]  # [n, 1] each
        crossed = (start[:, 1] > y) != (end[:, 1] > y)  # [n, E]
        with np.errstate(invalid="ignore"):
            left = x < start[:, 0] + (y - start[:, 1]) * slope
        inside[first : first + block] = np.count_nonzero(crossed & left, axis=1) % 2 == 1
    return inside


def edges(loops: Sequence[np.ndarray]) -> np.ndarray:
    """Edges of all loops as pairs of point numbers in the order of the loops, ``[E, 2]``, smaller first."""
    pairs, first = [], 0
    for loop in loops:
        index = np.arange(len(loop))
        pairs.append(first + np.stack([index, np.roll(index, -1)], axis=1))
        first += len(loop)
    return np.sort(np.concatenate(pairs), axis=1)


def resample(loop: np.ndarray, spacing: Spacing, corners: Sequence[int] = (0,)) -> np.ndarray:
    """Points along a closed polyline, 0.6 to 1.2 ``spacing`` apart where it allows, ``[n, 2]``.

    The upper limit matters: an edge of 1.2 h has a diametral circle of radius 0.6 h, which stays free of
    interior points that keep 0.62 h from the boundary, and so the edge is Delaunay.

    Args:
        loop: ``[m, 2]`` closed polyline, the last point joined to the first.
        spacing: the length wanted.
        corners: indices of the points to keep; pieces between them are divided evenly.

    Raises:
        ValueError: without a corner to start at.
    """
    if len(corners) == 0:
        raise ValueError("corners is empty; at least one point of the loop must be kept")
    corners = sorted(corners)
    pieces = []
    for start, end in zip(corners, [*corners[1:], corners[0] + len(loop)], strict=True):
        piece = loop[np.arange(start, end + 1) % len(loop)]  # [p, 2]
        middle = 0.5 * (piece[1:] + piece[:-1])
        steps = np.linalg.norm(np.diff(piece, axis=0), axis=1) / spacing_at(spacing, middle)
        length = np.concatenate([[0.0], np.cumsum(steps)])
        count = max(1, int(np.ceil(length[-1] - 0.2)))
        at = np.linspace(0.0, length[-1], count + 1)[:-1]
        pieces.append(np.stack([np.interp(at, length, piece[:, axis]) for axis in (0, 1)], axis=1))
    return np.concatenate(pieces)
