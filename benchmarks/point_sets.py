"""Point sets and graphs that are hard on local attention, each as positions ``[N, D]`` and edges ``[2, E]``."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import Delaunay, cKDTree
from torch import Tensor


def knn_edges(points: np.ndarray, k: int) -> Tensor:
    """``[2, N k]`` from each point's k nearest (itself included) to the point."""
    neighbour = cKDTree(points).query(points, k=k)[1]
    target = np.repeat(np.arange(len(points)), k)
    return torch.from_numpy(np.stack((neighbour.ravel(), target)))


def uniform(n: int = 4096, dim: int = 2, k: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Independent points in the unit cube."""
    points = np.random.default_rng(seed).random((n, dim)).astype(np.float32)
    return torch.from_numpy(points), knn_edges(points, k)


def clustered(n: int = 4096, dim: int = 2, k: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Half of the points scattered, a quarter each in clusters of size 1e-3 and of size 1e-4."""
    rng = np.random.default_rng(seed)
    scattered = rng.random((n // 2, dim))
    clusters = [
        np.repeat(rng.random((16, dim)), n // 64, axis=0) + size * rng.uniform(-0.5, 0.5, (n // 4, dim))
        for size in (1e-3, 1e-4)
    ]
    points = rng.permutation(np.concatenate((scattered, *clusters))).astype(np.float32)
    return torch.from_numpy(points), knn_edges(points, k)


def c_grid(k: int = 32, around: int = 221, across: int = 51) -> tuple[Tensor, Tensor]:
    """A C-shaped grid about a thin wing with its wake: spacing from 3e-4 at the wall to several chords."""
    wake = (around - 121) // 2
    angle = np.linspace(0, 2 * np.pi, 121)
    x = (1 + np.cos(angle)) / 2
    half = 0.6 * (0.2969 * np.sqrt(x) - 0.126 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
    wing = np.stack((x, -np.sign(np.sin(angle)) * half), 1)
    arc = np.stack((1 - 41 * np.sin(angle / 2), -40 * np.cos(angle / 2)), 1)
    behind = 1 + 40 * np.linspace(0, 1, wake + 1)[1:] ** 2
    lower, upper = (np.stack((behind, np.full(wake, y)), 1) for y in (-40.0, 40.0))
    inner = np.concatenate((lower[::-1] * (1, 0), wing, upper * (1, 0)))
    outer = np.concatenate((lower[::-1], arc, upper))
    share = np.expm1(11.0 * np.linspace(0, 1, across)) / np.expm1(11.0)
    points = inner[:, None] + share[None, :, None] * (outer - inner)[:, None]
    points = points.reshape(-1, 2).astype(np.float32).round(7)
    points = np.unique(points, axis=0)  # the two sides of the wake coincide
    return torch.from_numpy(points), knn_edges(points, k)


def triangulation(n: int = 4096, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Edges of a Delaunay triangulation of graded points, both ways, with self-loops: degrees 4 to 20."""
    points = np.random.default_rng(seed).random((n, 2)) ** np.array([1.0, 3.0])
    points = points.astype(np.float32)
    corners = Delaunay(points).simplices
    pairs = np.concatenate([corners[:, [i, j]] for i in range(3) for j in range(3)])
    return torch.from_numpy(points), torch.from_numpy(np.unique(pairs, axis=0).T.astype(np.int64))


POINT_SETS = {
    "uniform 2D": uniform,
    "uniform 3D": lambda: uniform(dim=3),
    "clusters 2D": clustered,
    "clusters 3D": lambda: clustered(dim=3),
    "C-grid 221 x 51": c_grid,
    "triangulation": triangulation,
}
