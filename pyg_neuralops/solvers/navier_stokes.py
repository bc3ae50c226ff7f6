"""Forced two-dimensional Navier-Stokes flow on the torus: Fourier modes, Runge-Kutta with an integrating factor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, rfft2

LONGEST_STEP = 0.9 * 2 * np.sqrt(2)
"""In units of one over the frequency; the classical Runge-Kutta method amplifies oscillations from 2 sqrt(2) on."""
MOST_STEPS = 10**6
"""Between two frames; a flow that asks for more has gone out of hand."""


@dataclass(frozen=True)
class NavierStokesSample:
    """Vorticity of ``w_t + u . grad w = viscosity lap w + f`` on the unit torus; dimensionless.

    Shapes:
        ``vorticity [T, S, S]`` float64 at the times 1, 2 ... T, axes (time, x, y), at the nodes ``i / S``;
        ``steps`` in time, in all.
    """

    vorticity: np.ndarray
    steps: int


def cutoff(size: int) -> int:
    """K, the greatest wave number whose products ``size`` points do not alias: the 2/3 rule, K < size / 3."""
    return (size - 1) // 3


def wave_numbers(size: int) -> tuple[np.ndarray, np.ndarray]:
    """``kx [size, 1]`` and ``ky [K + 1]``, integers, of the half spectrum ``[size, K + 1]`` that the solver keeps."""
    return np.fft.fftfreq(size, 1 / size)[:, None], np.arange(cutoff(size) + 1.0)


def forcing(size: int) -> np.ndarray:
    """``0.1 (sin + cos)(2 pi (x + y))`` at the nodes; ``[size, size]``."""
    x = np.arange(size) / size
    phase = 2 * np.pi * (x[:, None] + x)
    return 0.1 * (np.sin(phase) + np.cos(phase))


def random_vorticity(rng: np.random.Generator, size: int) -> np.ndarray:
    r"""A sample of the periodic Gaussian field :math:`N(0, 2 \cdot 7^3 (-\Delta + 49)^{-5/2})` of mean zero.

    The coefficient of :math:`e^{2 \pi i k \cdot x}` is :math:`7^{3/2} (4 \pi^2 |k|^2 + 49)^{-5/4} (\xi + i \eta)`
    with independent normal numbers, for the modes that the solver keeps. This is what the first code of Li et
    al. (arXiv:2010.08895) draws. Modes are drawn from long waves to short ones, so that the grid adds short waves to
    the field of a seed, and changes nothing else.

    Returns:
        ``[size, size]`` float64, axes (x, y), at the nodes ``i / size``.
    """
    most = cutoff(size)
    kx, ky = (k.ravel() for k in np.meshgrid(np.arange(-most, most + 1), np.arange(most + 1), indexing="ij"))
    half = (ky > 0) | (kx > 0)  # the other half of the plane follows, as the field is real
    kx, ky = kx[half], ky[half]
    order = np.lexsort((ky, kx, np.maximum(np.abs(kx), ky)))
    kx, ky = kx[order], ky[order]
    normal = rng.standard_normal((len(kx), 2))
    value = 7**1.5 * (4 * np.pi**2 * (kx**2 + ky**2) + 49) ** -1.25 * (normal[:, 0] + 1j * normal[:, 1])
    spectrum = np.zeros((size, size // 2 + 1), complex)
    spectrum[kx, ky] = size**2 * value
    line = ky == 0
    spectrum[-kx[line], 0] = size**2 * value[line].conj()
    return irfft2(spectrum, s=(size, size))


def solve_navier_stokes(
    vorticity: np.ndarray,
    force: np.ndarray,
    viscosity: float,
    *,
    frames: int = 20,
    interval: float = 1.0,
    dt: float = 0.05,
) -> tuple[np.ndarray, int]:
    r"""Solve :math:`w_t + u \cdot \nabla w = \nu \Delta w + f`, :math:`u = (\psi_y, -\psi_x)`, :math:`-\Delta\psi = w`.

    A Fourier-Galerkin method: wave numbers from ``size / 3`` on are left out, so that products are exact. Advection
    is taken as :math:`(\partial_{xx} - \partial_{yy}) (u v) + \partial_{xy} (v^2 - u^2)` (Basdevant 1983), which
    needs four transforms, one fewer than any other form. Viscosity is integrated exactly, the rest by the classical
    Runge-Kutta method: of fourth order in time, and of every order in space for a smooth flow.

    Args:
        vorticity: ``[S, S]`` at time 0, axes (x, y); its mean is kept, its short waves are cut off.
        force: ``[S, S]``, of mean zero.
        viscosity: nu, at least 0.
        frames: T, number of times to return.
        interval: time between two frames.
        dt: the longest step; shorter where the flow is too fast for it, see ``LONGEST_STEP``.

    Returns:
        The vorticity ``[T, S, S]`` at ``interval, 2 interval ...``, and the number of steps.

    Raises:
        ValueError: for arguments out of range.
        RuntimeError: if the flow gets so fast that it cannot be followed.
    """
    size = len(vorticity)
    if vorticity.shape != (size, size) or force.shape != vorticity.shape or size < 4:
        raise ValueError(f"vorticity {vorticity.shape} and force {force.shape}; expected [S, S] twice, S >= 4")
    if not (viscosity >= 0 and dt > 0 and interval > 0 and frames >= 1):
        given = f"viscosity={viscosity}, dt={dt}, interval={interval}, frames={frames}"
        raise ValueError(f"{given}; viscosity must be at least 0, dt and interval above 0, frames at least 1")
    grid = (size, size)
    kx, ky = wave_numbers(size)
    kept = np.abs(kx) <= cutoff(size)
    squared = 4 * np.pi**2 * (kx**2 + ky**2)
    inverse = 1 / np.where(squared > 0, squared, np.inf)  # a mean vorticity moves nothing
    to_u, to_v = 2j * np.pi * ky * inverse, -2j * np.pi * kx * inverse
    on_product = kept * (4 * np.pi**2) * (kx**2 - ky**2)  # minus (d_xx - d_yy)
    on_difference = kept * (4 * np.pi**2) * (kx * ky)  # minus d_xy

    def spectrum(values: np.ndarray) -> np.ndarray:
        return rfft2(values)[:, : len(ky)]

    def velocity(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return irfft2(to_u * w, s=grid), irfft2(to_v * w, s=grid)

    def slope(w: np.ndarray) -> np.ndarray:
        u, v = velocity(w)
        return source + on_product * spectrum(u * v) + on_difference * spectrum((v - u) * (v + u))

    source, w = kept * spectrum(force), kept * spectrum(vorticity)
    total, result = 0, np.empty((frames, *grid))
    for frame in range(frames):
        u, v = velocity(w)
        frequency = 2 * np.pi * cutoff(size) * float((np.abs(u) + np.abs(v)).max())
        needed = interval * max(1 / dt, frequency / LONGEST_STEP)
        if not needed <= MOST_STEPS:
            raise RuntimeError(
                f"{needed:.1e} steps are needed from frame {frame} to the next; {MOST_STEPS} are allowed"
            )
        steps = max(1, math.ceil(needed - 1e-9))
        step = interval / steps
        half = np.exp(-viscosity * squared * step / 2)
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                half_w = half * w
                first = half * slope(w)
                second = slope(half_w + step / 2 * first)
                third = slope(half_w + step / 2 * second)
                fourth = slope(half * (half_w + step * third))
                w = half * (half_w + step / 6 * first + step / 3 * (second + third)) + step / 6 * fourth
        result[frame] = irfft2(w, s=grid)
        if not np.isfinite(result[frame]).all():
            raise RuntimeError(f"the vorticity overflowed before time {(frame + 1) * interval:g}")
        total += steps
    return result, total


def sample_navier_stokes(
    seed: int | Sequence[int],
    resolution: int = 64,
    refine: int = 2,
    dt: float = 0.05,
    viscosity: float = 1e-5,
    frames: int = 20,
) -> NavierStokesSample:
    """One sample: a random initial vorticity under a constant force, observed at the times 1, 2 ... ``frames``.

    The set-up is that of Li et al. (arXiv:2010.08895); the samples are not theirs. The initial field of a seed does
    not depend on the other arguments, but for the short waves that a finer solve resolves.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone.
        resolution: S, nodes kept per side; the periodic end point is not among them.
        refine: the solve has ``resolution * refine`` nodes per side; every ``refine``-th is kept.
        dt: the longest time step, see :func:`solve_navier_stokes`.
        viscosity: nu.
        frames: T.

    Raises:
        ValueError: for arguments out of range.
        RuntimeError: naming the seed, if the solve fails.
    """
    if resolution < 4 or refine < 1:
        raise ValueError(f"resolution={resolution}, refine={refine}; they must be at least 4 and 1")
    size = resolution * refine
    start = random_vorticity(np.random.default_rng(np.random.SeedSequence(seed)), size)
    try:
        vorticity, steps = solve_navier_stokes(start, forcing(size), viscosity, frames=frames, dt=dt)
    except RuntimeError as error:
        raise RuntimeError(f"Navier-Stokes sample with seed {seed}: {error}") from error
    return NavierStokesSample(vorticity[:, ::refine, ::refine].copy(), steps)
