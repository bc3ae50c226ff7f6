"""Diffusion along a random direction on random star domains: quadratic finite elements, sparse LU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import skfem

from .cosines import random_cosines
from .diffusion import solve_diffusion
from .star import mesh_star, random_star

Field = Callable[[np.ndarray], np.ndarray]
"""A function of points ``[2, ...]``."""
STEEP = 100.0
"""Ratio at and above which a sample is solved on a mesh twice as fine: its layers are thinner than a triangle."""


@dataclass(frozen=True)
class AnisotropicDiffusionSample:
    """Solution of ``-div(K grad u) = 0`` with u = g on the whole boundary, K constant; dimensionless.

    Shapes:
        ``points [V, 2]``, ``g [V]`` boundary data, 0 inside, and ``u [V]``, float64; ``boundary [V]`` bool,
        vertices on the boundary; ``triangles [T, 3]`` int64; ``angle`` of the direction that conducts best, in
        radians, in [0, pi); ``ratio`` of the greater conductivity, which is 1, to the smaller; ``redraws`` of
        the interior points; ``residual`` of the linear system, relative.
    """

    points: np.ndarray
    triangles: np.ndarray
    angle: float
    ratio: float
    g: np.ndarray
    boundary: np.ndarray
    u: np.ndarray
    redraws: int
    residual: float


def conductivity(angle: float, ratio: float) -> np.ndarray:
    """K = R diag(1, 1 / ratio) R^T, R the rotation by ``angle``; ``[2, 2]``."""
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-np.sin(angle), np.cos(angle)])
    return np.outer(along, along) + np.outer(across, across) / ratio


def sample_anisotropic_diffusion(
    seed: int | Sequence[int], points: int = 730, max_ratio: float = 1000.0, refine: int = 1
) -> AnisotropicDiffusionSample:
    """One sample: a random star with a hole, K with angle U[0, pi) and log-uniform ratio, random cosines for g.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone.
        points: V, about; the spacing is the same for every sample.
        max_ratio: the greatest ratio of the two conductivities; the least is 1.
        refine: uniform refinements of the mesh for the solve, one more where the ratio is 100 or more; the
            solution is kept at the V vertices.

    Raises:
        ValueError: if ``points`` is below 100, ``max_ratio`` below 1 or ``refine`` below 0.
        RuntimeError: naming the seed, if no mesh is found or the solve fails.
    """
    if points < 100 or not max_ratio >= 1 or refine < 0:
        raise ValueError(f"points={points}, max_ratio={max_ratio}, refine={refine}; they must be at least 100, 1 and 0")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    loops = random_star(rng)
    angle, ratio = float(rng.uniform(0, np.pi)), float(max_ratio ** rng.random())
    g = random_cosines(rng)
    try:
        grid = mesh_star(loops, points, rng)
        mesh = skfem.MeshTri(grid.points.T.copy(), grid.triangles.T.copy(), sort_t=False)
        fine = mesh.refined(refine + (ratio >= STEEP))
        u, residual = solve_diffusion(fine, conductivity(angle, ratio), 0.0, g)
    except RuntimeError as error:
        raise RuntimeError(f"anisotropic diffusion sample with seed {seed}: {error}") from error
    count = len(grid.points)
    boundary = np.arange(count) < grid.num_boundary
    return AnisotropicDiffusionSample(
        points=grid.points,
        triangles=grid.triangles,
        angle=angle,
        ratio=ratio,
        g=np.where(boundary, g(grid.points.T), 0.0),
        boundary=boundary,
        u=u[:count],  # refinement keeps the numbers of the vertices
        redraws=grid.redraws,
        residual=residual,
    )
