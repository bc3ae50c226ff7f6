"""Steady incompressible Navier-Stokes flow through a channel: Stokes, Picard and Newton steps, sparse LU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import splu

from .taylor_hood import Force, TaylorHood

PICARD_STEPS = 2
"""Between Stokes and Newton: they bring the state to where Newton's method converges."""

DIVERGED = 1e3
"""Relative residual at which an iteration is given up."""

MAX_DOUBLINGS = 3
SMALLEST_RATIO, LARGEST_RATIO = 0.5, 0.97
"""Of continuation: how far the viscosity is raised, and by which factor it is then lowered at a time."""


@dataclass(frozen=True)
class ChannelFlow:
    """Steady flow at the nodes of m x n quadratic elements; density 1.

    Shapes:
        ``velocity [2 m + 1, 2 n + 1, 2]``; ``pressure [m + 1, n + 1]`` at the vertices of the elements;
        ``history`` relative norms of the residual, one before each linear system and one at the end;
        ``viscosities`` tried, 1 where it converged without continuation.
    """

    velocity: np.ndarray
    pressure: np.ndarray
    history: np.ndarray
    viscosities: int


def solve_channel(
    points: np.ndarray,
    boundary: np.ndarray,
    viscosity: float,
    force: Force | None = None,
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 16,
) -> ChannelFlow:
    r"""Solve :math:`(w \cdot \nabla) w - \nu \Delta w + \nabla p = f`, :math:`\nabla \cdot w = 0`.

    Taylor-Hood elements: order 3 for w and 2 for p in the L2 norm. The Stokes problem, two steps of Picard's
    iteration, then Newton's. Where they do not converge, a larger viscosity is solved and lowered by steps, each
    from the solution before; the steps shrink where they are too long.

    Args:
        points: nodes ``[2 m + 1, 2 n + 1, 2]`` of the elements, see :class:`.taylor_hood.TaylorHood`.
        boundary: ``[2 m + 1, 2 n + 1, 2]`` velocity, read at the inlet and the walls; the outlet, the last line
            of nodes, is free: :math:`\nu \partial_n w - p n = 0`.
        viscosity: nu, positive.
        force: f as a function of points; 0 when None.
        tolerance: norm of the residual to reach, relative to that of the Stokes problem for the fluid at rest.
        max_iterations: linear systems at one viscosity.

    Raises:
        ValueError: for a shape, a mesh or a viscosity that is not allowed.
        RuntimeError: if the iteration does not converge.
    """
    if boundary.shape != points.shape or not viscosity > 0:
        raise ValueError(
            f"boundary has shape {boundary.shape}, viscosity={viscosity}; expected {points.shape} and more than 0"
        )
    form = TaylorHood(points, force)
    nodes, free = form.topology.num_nodes, form.topology.order
    rest = np.zeros(form.topology.size)
    rest[: 2 * nodes] = boundary.reshape(-1, 2).T.ravel()
    rest[free] = 0
    viscosities, ratio = 0, SMALLEST_RATIO
    for current in viscosity * 2.0 ** np.arange(MAX_DOUBLINGS + 1):
        state, history = _iterate(form, rest, current, rest, tolerance, max_iterations)
        viscosities += 1
        if history[-1] <= tolerance:
            break
    while history[-1] <= tolerance and current > viscosity and ratio < LARGEST_RATIO:
        lower = max(viscosity, ratio * current)
        trial, tried = _iterate(form, state, lower, rest, tolerance, max_iterations)
        viscosities += 1
        if tried[-1] <= tolerance:
            state, history, current = trial, tried, lower
        else:
            ratio = np.sqrt(ratio)
    if current > viscosity or not history[-1] <= tolerance:
        raise RuntimeError(
            f"no convergence to a relative residual of {tolerance:.1e} at viscosity {viscosity:.4g} in "
            f"{max_iterations} iterations, nor by continuation ({viscosities} viscosities tried)"
        )
    u, v, p = np.split(state, [nodes, 2 * nodes])
    velocity = np.stack([u, v], axis=-1).reshape(points.shape)
    pressure = p.reshape(points.shape[0] // 2 + 1, points.shape[1] // 2 + 1)
    return ChannelFlow(velocity, pressure, np.array(history), viscosities)


def _iterate(
    form: TaylorHood, state: np.ndarray, viscosity: float, rest: np.ndarray, tolerance: float, max_iterations: int
) -> tuple[np.ndarray, list[float]]:
    """Iterate at one viscosity from a state, with Stokes and Picard steps first where that is the fluid at rest.

    Stops at the tolerance, after ``max_iterations`` or when it diverges.
    """
    cold, free = state is rest, form.topology.order
    state = state.copy()
    scale = float(np.linalg.norm(form.system(rest, viscosity, 0.0)[1])) or 1.0
    history: list[float] = []
    for step in range(max_iterations + 1):
        stokes = cold and step == 0
        matrix, residual = form.system(state, viscosity, 0.0 if stokes else 1.0, not cold or step > PICARD_STEPS)
        history.append(float(np.linalg.norm(residual)) / scale)
        if step == max_iterations or not history[-1] < DIVERGED or (not stokes and history[-1] <= tolerance):
            break
        # Elimination in the order given; the zero diagonal of the pressure allows no factorisation without pivots.
        factor = splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.01, options={"SymmetricMode": True})
        state[free] -= factor.solve(residual)
    return state, history
