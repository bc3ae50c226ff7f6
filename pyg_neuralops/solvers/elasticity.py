"""A unit cell with a random void, clamped below and pulled above; plane stress, hyperelastic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .hyperelastic import solve_hyperelastic, stress_at_vertices
from .rivlin_saunders import von_mises
from .unit_cell import ANGLES, LEAST_POINTS, random_cell, refine_cell


@dataclass(frozen=True)
class ElasticitySample:
    """A unit cell of 1 m x 1 m with a void, under a vertical load on its top side.

    Shapes:
        ``points [V, 2]`` before the deformation (m), ``triangles [T, 3]`` int64, counter-clockwise; at the points
        ``von_mises [V]``, ``stress [V, 3]`` Cauchy s11, s22, s12 (Pa) and ``u [V, 2]`` displacement (m);
        ``radii [42]`` of the void at ``ANGLES`` (m); ``redraws`` of the void and of the interior points; ``residual``
        of equilibrium, relative.
    """

    points: np.ndarray
    triangles: np.ndarray
    von_mises: np.ndarray
    stress: np.ndarray
    u: np.ndarray
    radii: np.ndarray
    redraws: int
    residual: float


def check_sizes(points: int, refine: int, refine_void: int) -> None:
    """Raise ValueError for numbers of points or refinements out of range."""
    if points < LEAST_POINTS or refine < 0 or refine_void < 0:
        raise ValueError(
            f"points={points}, refine={refine}, refine_void={refine_void}; "
            f"they must be at least {LEAST_POINTS}, 0 and 0"
        )


def sample_elasticity(
    seed: int | Sequence[int], points: int = 972, refine: int = 1, refine_void: int = 1, traction: float = 100.0
) -> ElasticitySample:
    """One sample: a random void; the bottom side is clamped, the top side pulled upwards, the rest free.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone.
        points: V, exact.
        refine: uniform refinements of the mesh for the solve; the solution is kept at the V points.
        refine_void: further refinements of the triangles at the void, where the stress varies most.
        traction: Pa of the undeformed top side. At 100 strains are about 5e-4 and the response is linear within
            0.3%; at 5e4 it is far from linear.

    Raises:
        ValueError: if ``points`` is below 200, or ``refine`` or ``refine_void`` below 0.
        RuntimeError: naming the seed, if no mesh is found or the solve does not converge.
    """
    check_sizes(points, refine, refine_void)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    try:
        radius, grid, redraws = random_cell(rng, points)
        mesh = refine_cell(grid, radius, refine, refine_void)
        state = solve_hyperelastic(mesh, lambda p: p[1] < 1e-9, lambda p: _pull(p, traction))
    except RuntimeError as error:
        raise RuntimeError(f"elasticity sample with seed {seed}: {error}") from error
    stress = stress_at_vertices(mesh, state)[:points]  # refinement keeps the numbers of the points
    return ElasticitySample(
        grid.points,
        grid.triangles,
        von_mises(stress),
        stress,
        state.u[:points],
        radius(ANGLES),
        redraws,
        state.residual,
    )


def _pull(points: np.ndarray, traction: float) -> np.ndarray:
    return np.stack([np.zeros_like(points[1]), traction * (points[1] > 1 - 1e-9)])
