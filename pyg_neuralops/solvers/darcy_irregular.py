"""Darcy flow on random domains with a notch and a hole: quadratic finite elements, sparse LU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import skfem
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from .diffusion import solve_diffusion
from .polygon import Spacing, contains, resample
from .random_field import gaussian_random_field
from .triangulate import triangulate

KINDS = ("hole", "notch", "both")
FIELD_SIZE = 256
SMALLEST_GAP = 0.05
"""Least distance between hole and notch, or hole and outer boundary; nearer ones are redrawn."""


@dataclass(frozen=True)
class DarcyIrregularSample:
    """Solution of ``-div(a grad u) = 1``, ``u = 0`` on the whole boundary, on a random domain; dimensionless.

    Shapes:
        ``points [V, 2]``, ``a [V]`` coefficient and ``u [V]`` solution, float64; ``triangles [T, 3]`` int64;
        ``redraws`` of the domain and of the interior points; ``residual`` of the linear system, relative.
    """

    points: np.ndarray
    triangles: np.ndarray
    a: np.ndarray
    u: np.ndarray
    redraws: int
    residual: float


def random_outline(rng: np.random.Generator, kind: str) -> tuple[list[np.ndarray], list[list[int]]]:
    """A unit square with a triangular notch in its bottom side, a smooth hole, or both.

    Notch: centre U[.3, .7], half-width U[.05, .12], depth U[.15, .35]. Hole: centre U[.3, .6] x U[.3, .75],
    mean radius U[.08, .14] times the exponential of four random Fourier modes of amplitude 1/2.

    Returns:
        Closed loops ``[n, 2]``, the outer one first, and for each the indices of its corners. They may cross.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}; choose from {list(KINDS)}")
    outer = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    if kind != "hole":
        centre, half, depth = rng.uniform([0.3, 0.05, 0.15], [0.7, 0.12, 0.35])
        outer[1:1] = [[centre - half, 0.0], [centre, depth], [centre + half, 0.0]]
    loops, corners = [np.array(outer)], [list(range(len(outer)))]
    if kind != "notch":
        angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
        mode = np.arange(1, 5)[:, None]
        wave = np.concatenate([np.cos(mode * angle), np.sin(mode * angle)])  # [8, 400]
        shape = (rng.normal(size=8) / np.tile((1.0 + mode[:, 0]) ** 1.5, 2)) @ wave
        radius = rng.uniform(0.08, 0.14) * np.exp(0.5 * shape / np.abs(shape).max())
        around = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        loops.append(rng.uniform([0.3, 0.3], [0.6, 0.75]) + around)
        corners.append([0])
    return loops, corners


def _apart(loops: list[np.ndarray]) -> bool:
    """Whether the hole lies inside the outer loop and no nearer to it than ``SMALLEST_GAP``."""
    if len(loops) == 1:
        return True
    outer = resample(loops[0], 0.01, range(len(loops[0])))
    near = cKDTree(outer).query(loops[1])[0].min()
    return bool(near >= SMALLEST_GAP and contains(loops[:1], loops[1]).all())


def coefficient_at(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """12 where the cell-centred ``field [s, s]``, interpolated at ``points [n, 2]``, is >= 0, else 3; ``[n]``."""
    value = map_coordinates(field, points.T * len(field) - 0.5, order=1, mode="nearest")
    return np.where(value >= 0, 12.0, 3.0)


def graded_spacing(rng: np.random.Generator, loops: list[np.ndarray], spacing: float, grading: float) -> Spacing:
    """Fine at a random place of the domain and ``grading`` times as wide at the corner of the square farthest from it.

    It grows exponentially with the distance, and gives the square as many points as the number ``spacing``.
    """
    focus = rng.random((1, 2))
    while not contains(loops, focus)[0]:
        focus = rng.random((1, 2))
    farthest = np.linalg.norm(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - focus, axis=1).max()

    def growth(where: np.ndarray) -> np.ndarray:
        return grading ** (np.linalg.norm(where - focus, axis=1) / farthest)

    middle = (np.indices((64, 64)).reshape(2, -1).T + 0.5) / 64
    finest = spacing * np.sqrt(np.mean(growth(middle) ** -2))
    return lambda where: finest * growth(where)


def sample_darcy_irregular(
    seed: int | Sequence[int], points: int = 730, refine: int = 1, grading: float = 0
) -> DarcyIrregularSample:
    """One sample: a random domain, a random two-phase medium, f = 1.

    The coefficient is 12 or 3 by the sign of a Gaussian random field on 256² cells, taken at the centroid of
    every triangle of the mesh on which the equation is solved: that of the sample, refined ``refine`` times.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone.
        points: V, about; the spacing is the same for every sample (its mean, graded), V varies with the domain.
        refine: uniform refinements of the mesh for the solve; the solution is kept at the V vertices.
        grading: by how much the spacing varies within a sample (:func:`graded_spacing`), such as 3 to 6; 0 for not.

    Raises:
        ValueError: if ``points`` is below 100 or ``refine`` below 0, or ``grading`` is neither 0 nor from 1 to 10.
        RuntimeError: naming the seed, if no mesh is found or the solve fails.
    """
    if points < 100 or refine < 0:
        raise ValueError(f"points={points}, refine={refine}; they must be at least 100 and 0")
    if grading and not 1 <= grading <= 10:
        raise ValueError(f"grading={grading}; it must be 0, or a ratio of spacings from 1 to 10")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    uniform = np.sqrt(1.165 / points)
    redraws = 0
    kind = str(rng.choice(KINDS))
    loops, corners = random_outline(rng, kind)
    while not _apart(loops):
        loops, corners = random_outline(rng, kind)
        redraws += 1
    spacing = graded_spacing(rng, loops, uniform, grading) if grading else uniform
    sampled = [resample(loop, spacing, kept) for loop, kept in zip(loops, corners, strict=True)]
    try:
        grid = triangulate(sampled, spacing, rng)
        field = gaussian_random_field(rng, FIELD_SIZE)
        mesh = skfem.MeshTri(grid.points.T.copy(), grid.triangles.T.copy(), sort_t=False).refined(refine)
        u, residual = solve_diffusion(mesh, coefficient_at(field, mesh.p[:, mesh.t].mean(axis=1).T))
    except RuntimeError as error:
        raise RuntimeError(f"irregular Darcy sample with seed {seed}: {error}") from error
    count = len(grid.points)  # refinement keeps the numbers of the vertices
    a = coefficient_at(field, grid.points)
    return DarcyIrregularSample(grid.points, grid.triangles, a, u[:count], redraws + grid.redraws, residual)
