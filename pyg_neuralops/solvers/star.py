"""Random star-shaped domains with a round hole, and their triangulations."""

from __future__ import annotations

import numpy as np

from .polygon import resample
from .triangulate import Triangulation, triangulate

RADIUS = 0.42
"""Mean radius of the outer boundary, whose centre is (1/2, 1/2)."""


def random_star(rng: np.random.Generator) -> list[np.ndarray]:
    """A smooth outer boundary ``r = 0.42 (1 + g/5)`` and a disc of radius U[.05, .09] cut out of it.

    g is a sum of the Fourier modes 2 to 6 with amplitudes N(0, k^-2.4), scaled to max |g| = 1. The centre of the
    hole is (1/2, 1/2) + U[-.12, .12]², which leaves at least 0.076 between the two boundaries.

    Returns:
        Two closed loops ``[800, 2]``, the outer one first, counter-clockwise.
    """
    angle = np.linspace(0, 2 * np.pi, 800, endpoint=False)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # [800, 2]
    mode = np.arange(2, 7)
    cosine, sine = rng.normal(size=(2, len(mode))) / mode**1.2
    shape = cosine @ np.cos(mode[:, None] * angle) + sine @ np.sin(mode[:, None] * angle)
    outer = 0.5 + RADIUS * (1 + 0.2 * shape / np.abs(shape).max())[:, None] * around
    centre = 0.5 + rng.uniform(-0.12, 0.12, 2)
    return [outer, centre + rng.uniform(0.05, 0.09) * around]


def mesh_star(loops: list[np.ndarray], points: int, rng: np.random.Generator) -> Triangulation:
    """A triangulation with about ``points`` vertices; the spacing depends on ``points`` alone, not on the loops.

    Raises:
        ValueError: if ``points`` is below 100.
        RuntimeError: if no mesh is found.
    """
    if points < 100:
        raise ValueError(f"points={points}; they must be at least 100")
    spacing = float(np.sqrt(0.655 / points))
    return triangulate([resample(loop, spacing) for loop in loops], spacing, rng)
