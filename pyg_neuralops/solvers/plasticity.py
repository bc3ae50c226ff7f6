"""Forging of a steel block by a random die."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from .forging import HEIGHT, LENGTH, STEEL, solve_forging

KNOTS, AMPLITUDE = 6, 3.0
"""Number and greatest height (mm) of the knots of a die."""
DIE_POINTS = 401
"""Points of the polygon that stands for the die in the contact, whatever the grid."""


@dataclass(frozen=True)
class PlasticitySample:
    """A forging with a random die; mm.

    Shapes:
        ``die [C]`` height of the die at the start above the top of the block, at the columns' initial x;
        ``trajectory [C, R, T, 4]`` x, y, ux and uy of the nodes at the ends of the T frames, columns from the left
        and rows from below; ``energy_error``: see :class:`Forging`; ``smallest_cell`` area at the end over the
        initial one; ``steps`` of time.
    """

    die: np.ndarray
    trajectory: np.ndarray
    energy_error: float
    smallest_cell: float
    steps: int


def random_die(rng: np.random.Generator) -> np.ndarray:
    """A natural spline through 6 equally spaced knots of height U[0, 3] mm, less its minimum; ``[DIE_POINTS]``."""
    knots = rng.uniform(0, AMPLITUDE, KNOTS)
    spline = CubicSpline(np.linspace(0, LENGTH, KNOTS), knots, bc_type="natural")
    heights = spline(np.linspace(0, LENGTH, DIE_POINTS))
    return heights - heights.min()


def sample_plasticity(
    seed: int | Sequence[int],
    columns: int = 101,
    rows: int = 31,
    density_scale: float = 1.0,
    frames: int = 20,
    max_steps: int = 200_000,
) -> PlasticitySample:
    """One sample: a block of 50 x 15 mm is forged by a random die that comes down by 3 mm at 3 m/s.

    The set-up is the plasticity problem of Li et al., "Fourier Neural Operator with Learned Deformations for PDEs on
    General Geometries" (arXiv:2207.05209), with our own distribution of dies; the samples are not theirs.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone, and the
            die on it alone.
        columns, rows: C and R, nodes along x and y.
        density_scale: factor of the density of steel. The number of steps falls with its square root, and inertia
            grows; 4 makes a sample twice as fast.
        frames: T, equal parts of the stroke.
        max_steps: see :func:`solve_forging`.

    Raises:
        ValueError: if ``columns`` or ``rows`` is below 2, ``frames`` below 1, or ``density_scale`` not positive.
        RuntimeError: naming the seed, if a cell is crushed, ``max_steps`` are not enough, or the parts of the energy
            and the die's work differ by 1%.
    """
    if min(columns, rows) < 2 or frames < 1 or not density_scale > 0:
        raise ValueError(
            f"columns={columns}, rows={rows}, frames={frames}, density_scale={density_scale}; "
            "they must be at least 2, 2, 1, and positive"
        )
    die = random_die(np.random.default_rng(np.random.SeedSequence(seed)))
    try:
        density = density_scale * STEEL["density"]
        forging = solve_forging(die, columns, rows, frames=frames, density=density, max_steps=max_steps)
    except RuntimeError as error:
        raise RuntimeError(f"plasticity sample with seed {seed}: {error}") from error
    if not abs(forging.energy_error) < 0.01:
        found = f"energy is off by {forging.energy_error:.1%}; 1% is allowed"
        raise RuntimeError(f"plasticity sample with seed {seed}: {found}")
    across, up = np.linspace(0, LENGTH, columns), np.linspace(0, HEIGHT, rows)
    start = np.stack(np.meshgrid(across, up, indexing="ij"), -1)
    moved = np.concatenate([forging.positions, forging.positions - start], -1)  # [T, C, R, 4]
    end = forging.positions[-1]
    one, two = end[1:, 1:] - end[:-1, :-1], end[:-1, 1:] - end[1:, :-1]
    areas = 0.5 * (one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0])
    return PlasticitySample(
        die=np.interp(across, np.linspace(0, LENGTH, DIE_POINTS), die),
        trajectory=np.ascontiguousarray(moved.transpose(1, 2, 0, 3)),
        energy_error=forging.energy_error,
        smallest_cell=float(areas.min() / (across[1] * up[1])),
        steps=forging.steps,
    )
