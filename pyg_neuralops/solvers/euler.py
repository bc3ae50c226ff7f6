"""Steady flow of a perfect gas without friction around a body, on a C-grid: second-order finite volumes."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np

from .gas import GAMMA


@dataclass(frozen=True)
class EulerSolution:
    """Steady solution of the Euler equations, in units of the free stream's density and pressure.

    Shapes:
        ``cells [I, J, 4]``, means of density, velocity (u, v) and pressure over the cells; ``residual``, the
        root mean square of the mass residual in its last step over its greatest value; ``iterations`` done;
        ``drag`` and ``lift`` coefficients per unit chord, from the pressure on the wall.
    """

    cells: np.ndarray
    residual: float
    iterations: int
    drag: float
    lift: float


def require_numba() -> None:
    """Raise an ImportError that says what to install, unless there is numba."""
    if importlib.util.find_spec("numba") is None:
        raise ImportError("the Euler solver needs numba; pip install 'pyg-neuralops[generate]'")


def face_normals(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normals of the faces, as long as the faces, towards growing i and j, and the areas of the cells.

    Args:
        grid: ``[I + 1, J + 1, 2]`` nodes, of either orientation.

    Returns:
        ``[I + 1, J, 2]``, ``[I, J + 1, 2]`` and ``[I, J]``.

    Raises:
        ValueError: if a cell is folded.
    """
    along_j, along_i = grid[:, 1:] - grid[:, :-1], grid[1:] - grid[:-1]
    across_i = np.stack([along_j[..., 1], -along_j[..., 0]], -1)
    across_j = np.stack([-along_i[..., 1], along_i[..., 0]], -1)
    one, two = grid[1:, 1:] - grid[:-1, :-1], grid[:-1, 1:] - grid[1:, :-1]
    area = 0.5 * (one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0])
    if area.sum() < 0:  # clockwise
        across_i, across_j, area = -across_i, -across_j, -area
    if not area.min() > 0:
        i, j = np.unravel_index(np.argmin(area), area.shape)
        raise ValueError(f"cell ({i}, {j}) of the grid has the area {area.min():.2e}; all must turn the same way")
    return across_i, across_j, area


def solve_euler(
    grid: np.ndarray,
    wake: int,
    *,
    mach: float = 0.8,
    angle: float = 0.0,
    iterations: int = 2000,
    tolerance: float = 1e-6,
    cfl: float = 100.0,
    limit: float = 0.1,
) -> EulerSolution:
    """Solve the steady Euler equations on a C-grid around a body.

    Cell means of density, velocity and pressure; HLLC fluxes of states that are extrapolated to the faces with
    van Albada's limiter; implicit local time steps, LU-SGS, from a uniform free stream. The wall takes the
    pressure alone, the wake cut the cells of its other side, the far field the free stream as a neighbour.

    Args:
        grid: ``[I + 1, J + 1, 2]`` nodes. j = 0 is the wake cut (``wake`` cells at either end of i) and the
            body between, j = J the far field. The nodes of the two halves of the cut coincide.
        wake: cells of the cut on each side.
        mach: of the free stream, whose density and pressure are 1.
        angle: of attack, in degrees.
        iterations: at most.
        tolerance: residual at which it stops early.
        cfl: greatest Courant number; it grows from 2 by 5% a step.
        limit: greatest residual that is accepted.

    Raises:
        ImportError: without numba.
        ValueError: for a grid that is folded or whose cut is open.
        RuntimeError: if a state turns negative or the residual stays above ``limit``.
    """
    require_numba()
    from .euler_kernels import march

    across_i, across_j, area = face_normals(grid)
    if not np.allclose(grid[: wake + 1, 0], grid[: -wake - 2 : -1, 0], rtol=0, atol=1e-9):
        raise ValueError(f"the {wake} cells at both ends of j = 0 are no wake cut: their nodes do not coincide")
    speed, direction = mach * np.sqrt(GAMMA), np.radians(angle)
    free = np.array([1.0, speed * np.cos(direction), speed * np.sin(direction), 1.0])
    conserved = np.array([1.0, free[1], free[2], 1 / (GAMMA - 1) + 0.5 * speed**2])
    u = np.tile(conserved, (*area.shape, 1))
    states = np.tile(free, (area.shape[0] + 4, area.shape[1] + 4, 1))
    history = np.zeros(iterations)
    steps = march(u, states, wake, across_i, across_j, area, cfl, tolerance, history)
    if steps < 0:
        raise RuntimeError("the Euler solver met a density or pressure that is not positive")
    residual = float(history[min(steps, iterations - 1)])
    if not residual <= limit:
        raise RuntimeError(f"the Euler solver's residual is {residual:.1e} after {steps} steps; {limit:.1e} is allowed")
    cells = states[2:-2, 2:-2].copy()
    wall = slice(wake, len(area) - wake)
    pressure = 1.5 * cells[wall, 0, 3] - 0.5 * cells[wall, 1, 3] - 1
    # The normals point from the wall into the gas, and the gas pushes the other way.
    force = -(pressure[:, None] * across_j[wall, 0]).sum(0) / (0.5 * speed**2)
    along, up = np.array([np.cos(direction), np.sin(direction)]), np.array([-np.sin(direction), np.cos(direction)])
    return EulerSolution(cells, residual, steps, float(force @ along), float(force @ up))
