"""Steady viscous flow through a randomly curved pipe, a plane channel of constant vertical width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from .navier_stokes_steady import solve_channel

LENGTH = 10.0
WIDTH = 1.0
CONTROL_NODES = 5
LEAST_VISCOSITY_TIMES_LINES = 0.3
"""Of viscosity times lines of nodes: below, Newton's method often fails. At the limit every sample tried converged,
a few per cent by continuation."""


@dataclass(frozen=True)
class PipeSample:
    """Flow of an incompressible fluid of density 1 through a pipe of width 1; peak velocity at the inlet 1.

    Shapes:
        ``points [S, S, 2]`` nodes, the first axis from the inlet at x = 0 to the outlet at x = 10, the second from
        the lower wall to the upper; ``u [S, S]``, ``v [S, S]`` velocity; ``p [(S + 1) / 2, (S + 1) / 2]`` pressure
        at every second node; ``heights [5]`` and ``slopes [5]`` of the centreline at its control nodes;
        ``iterations`` at the last viscosity; ``viscosities`` tried, 1 without continuation; ``residual``, relative.
    """

    points: np.ndarray
    u: np.ndarray
    v: np.ndarray
    p: np.ndarray
    heights: np.ndarray
    slopes: np.ndarray
    iterations: int
    viscosities: int
    residual: float


def check_sizes(resolution: int, refine: int, viscosity: float) -> None:
    """Raise ValueError unless the mesh is one of whole elements, fine enough for the viscosity."""
    if resolution < 17 or resolution % 2 == 0 or refine < 1:
        raise ValueError(f"resolution={resolution}, refine={refine}; odd and at least 17, and at least 1 are allowed")
    if not viscosity * (resolution - 1) * refine >= LEAST_VISCOSITY_TIMES_LINES:
        raise ValueError(
            f"resolution={resolution}, refine={refine}, viscosity={viscosity}; too coarse for Newton's method: "
            f"viscosity * (resolution - 1) * refine must be at least {LEAST_VISCOSITY_TIMES_LINES}"
        )


def pipe_points(heights: np.ndarray, slopes: np.ndarray, lines: int, across: int) -> np.ndarray:
    """Nodes ``[lines, across, 2]`` of a pipe around the cubic Hermite curve through evenly spaced control nodes.

    Sections are vertical: node (i, j) lies at x = 10 i / (lines - 1), j / (across - 1) above the lower wall.
    """
    x, t = np.linspace(0, LENGTH, lines)[:, None], np.linspace(0, 1, across)
    centre = CubicHermiteSpline(np.linspace(0, LENGTH, len(heights)), heights, slopes)(x)
    return np.stack(np.broadcast_arrays(x, centre + WIDTH * (t - 0.5)), axis=-1)


def parabolic_inflow(lines: int, across: int) -> np.ndarray:
    """Velocity ``[lines, across, 2]``: 4 t (1 - t) along x on the first line, 0 elsewhere."""
    t = np.linspace(0, 1, across)
    velocity = np.zeros((lines, across, 2))
    velocity[0, :, 0] = 4 * t * (1 - t)
    return velocity


def sample_pipe(
    seed: int | Sequence[int],
    resolution: int = 65,
    refine: int = 2,
    viscosity: float = 0.005,
    max_iterations: int = 16,
) -> PipeSample:
    """One sample: a random centreline, a parabolic inflow 4 t (1 - t), a free outlet.

    Heights U[-2, 2] and slopes U[-1, 1] at five control nodes. The set-up is that of Li et al.
    (arXiv:2207.05209), who solve on 64 x 64 elements and keep all 129 x 129 nodes; the samples are not theirs.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone.
        resolution: S, nodes kept a side.
        refine: lines of nodes of the solve per line kept; across, all nodes of (S - 1) / 2 quadratic elements are
            kept. The pipe is ten times longer than wide: the error is that of its elements' length.
        viscosity: nu; the Reynolds number of peak velocity and width is 1 / nu.
        max_iterations: see :func:`.navier_stokes_steady.solve_channel`.

    Raises:
        ValueError: for an even or too small ``resolution``, or a mesh too coarse for the viscosity.
        RuntimeError: naming the seed, if the solver does not converge.
    """
    check_sizes(resolution, refine, viscosity)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    heights, slopes = rng.uniform(-2, 2, CONTROL_NODES), rng.uniform(-1, 1, CONTROL_NODES)
    lines = (resolution - 1) * refine + 1
    points = pipe_points(heights, slopes, lines, resolution)
    inflow = parabolic_inflow(lines, resolution)
    try:
        flow = solve_channel(points, inflow, viscosity, max_iterations=max_iterations)
    except RuntimeError as error:
        raise RuntimeError(f"pipe sample with seed {seed}: {error}") from error
    u, v = flow.velocity[::refine, :, 0].copy(), flow.velocity[::refine, :, 1].copy()
    pressure = flow.pressure[::refine].copy()
    iterations, residual = len(flow.history) - 1, float(flow.history[-1])
    return PipeSample(points[::refine].copy(), u, v, pressure, heights, slopes, iterations, flow.viscosities, residual)
