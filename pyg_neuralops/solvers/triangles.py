"""Measures of a triangulation, ``points [V, 2]`` and ``triangles [T, 3]``."""

from __future__ import annotations

import numpy as np


def doubled_areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Twice the signed area of each triangle, ``[T]``."""
    a, b, c = points[triangles].transpose(1, 0, 2)
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def smallest_angle(points: np.ndarray, triangles: np.ndarray) -> float:
    """Smallest angle of all triangles, in degrees."""
    corners = points[triangles]  # [T, 3, 2]
    one = np.roll(corners, -1, axis=1) - corners
    two = np.roll(corners, 1, axis=1) - corners
    sine = one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0]
    return float(np.degrees(np.arctan2(sine, (one * two).sum(axis=-1)).min()))


def boundary_edges(triangles: np.ndarray) -> np.ndarray:
    """Edges that belong to one triangle only, ``[E, 2]``, sorted."""
    pairs = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, count = np.unique(pairs, axis=0, return_counts=True)
    return unique[count == 1]
