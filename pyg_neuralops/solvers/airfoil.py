"""Transonic flow around randomly deformed NACA-0012 airfoils, on the nodes of a C-grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .c_grid import c_grid, cells_to_nodes, surface_points
from .euler import solve_euler
from .gas import mach_number

BOX = (1.5, 0.2)
"""Length and height of the box of control nodes; it is centred on (0.5, 0)."""
LARGEST_DISPLACEMENT = 0.05


@dataclass(frozen=True)
class AirfoilSample:
    """Steady Euler flow at Mach 0.8 around a random airfoil; lengths in chords, free stream of unit rho and p.

    Shapes:
        ``points [I, J, 2]`` nodes of the C-grid (see :func:`.c_grid.c_grid`); ``flow [I, J, 4]`` density, velocity
        (u, v) and pressure, and ``mach [I, J]`` the Mach number at the nodes; ``displacements [8]`` of the control
        nodes; ``residual`` and ``iterations`` of the solver; coefficients ``drag`` and ``lift``.
    """

    points: np.ndarray
    flow: np.ndarray
    mach: np.ndarray
    displacements: np.ndarray
    residual: float
    iterations: int
    drag: float
    lift: float


def naca_0012(x: np.ndarray, thickness: float = 0.12) -> np.ndarray:
    """Half thickness of the symmetric four-digit airfoil, closed at x = 1."""
    root = 0.2969 * np.sqrt(x) - 0.126 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4
    return np.where(x == 1, 0.0, thickness / 0.2 * root)


def deformed(points: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Points ``[n, 2]`` moved up with a box of four by two control nodes, cubic in x and linear in y.

    Args:
        points: ``[n, 2]``.
        displacements: ``[8]``, of the nodes below from left to right, then above from right to left.
    """
    x, y = points.T
    nodes = 0.5 + BOX[0] * (np.arange(4) / 3 - 0.5)
    cubic = np.stack([np.prod([(x - b) / (a - b) for b in nodes if b != a], axis=0) for a in nodes])  # [4, n]
    above = y / BOX[1] + 0.5
    moved = (1 - above) * (displacements[:4] @ cubic) + above * (displacements[:3:-1] @ cubic)
    return np.stack([x, y + moved], -1)


def airfoil_grid(
    displacements: np.ndarray, resolution: int = 111, refine: int = 1, thickness: float = 0.12
) -> tuple[np.ndarray, int]:
    """The C-grid around a deformed airfoil: nodes ``[I, J, 2]`` and the cells along a side of the wake cut.

    Raises:
        ValueError: for a size that is not 22 k + 1, k >= 2, or ``refine`` below 1.
    """
    if resolution < 45 or resolution % 22 != 1 or refine < 1:
        raise ValueError(
            f"resolution={resolution}, refine={refine}; resolution is 22 k + 1 with k >= 2 (45, 67, ... 111 ... 221) "
            "and refine at least 1"
        )
    half = 6 * (resolution // 22)
    x = surface_points(half, refine)
    y = naca_0012(x, thickness)
    outline = np.stack([np.concatenate([x[::-1], x[1:]]), np.concatenate([y[::-1], -y[1:]])], -1)
    return c_grid(deformed(outline, np.asarray(displacements, float)), half, refine)


def sample_airfoil(
    seed: int | Sequence[int], resolution: int = 111, refine: int = 1, iterations: int = 800, limit: float = 0.1
) -> AirfoilSample:
    """One sample: NACA-0012 deformed by eight control nodes, in a free stream of Mach 0.8 at no angle of attack.

    The first node is fixed, the others move up by U[-0.05, 0.05] chords, as in Li et al. (arXiv:2207.05209); the
    samples are not theirs. Published are 221 x 51 nodes, ``resolution=221, iterations=2000``.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone.
        resolution: nodes along the C, 22 k + 1; 5 k + 1 from the wall to the far field.
        refine: cells of the solve per cell kept, each way; a finer grid needs more iterations.
        iterations: of the solver, at most.
        limit: greatest residual accepted.

    Raises:
        ImportError: without numba.
        ValueError: for a size out of range.
        RuntimeError: naming the seed, if the solver does not converge.
    """
    if iterations < 1:
        raise ValueError(f"iterations={iterations}; it must be at least 1")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    displacements = rng.uniform(-LARGEST_DISPLACEMENT, LARGEST_DISPLACEMENT, 8)
    displacements[0] = 0.0  # all together would only lift the airfoil
    grid, wake = airfoil_grid(displacements, resolution, refine)
    try:
        solution = solve_euler(grid, wake, iterations=iterations, limit=limit)
    except (RuntimeError, ValueError) as error:  # a folded grid is a ValueError
        raise RuntimeError(f"airfoil sample with seed {seed}: {error}") from error
    kept = (slice(None, None, refine), slice(None, None, refine))
    flow = cells_to_nodes(solution.cells, grid, wake)[kept].copy()
    if not flow[..., [0, 3]].min() > 0:
        raise RuntimeError(f"airfoil sample with seed {seed}: density or pressure at a node is not positive")
    return AirfoilSample(
        points=grid[kept].copy(),
        flow=flow,
        mach=mach_number(flow),
        displacements=displacements,
        residual=solution.residual,
        iterations=solution.iterations,
        drag=solution.drag,
        lift=solution.lift,
    )
