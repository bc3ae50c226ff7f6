"""Darcy flow on the unit square: five-point finite differences, conjugate gradients with fast sines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import dstn, idstn

from .random_field import gaussian_random_field

FACE_MEANS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "arithmetic": lambda p, q: 0.5 * (p + q),
    "harmonic": lambda p, q: 2 * p * q / (p + q),
    "geometric": lambda p, q: np.sqrt(p * q),
}


@dataclass(frozen=True)
class DarcySolution:
    """Solution of ``-div(a grad u) = f`` on the unit square, ``u = 0`` on its boundary; dimensionless.

    Shapes:
        ``a [S, S]`` coefficient and ``u [S, S]`` solution, float64, axes (x, y), at the nodes ``i / (S - 1)``,
        boundary included; ``iterations`` of conjugate gradients; ``residual`` relative to f.
    """

    a: np.ndarray
    u: np.ndarray
    iterations: int
    residual: float


def solve_darcy(
    a: np.ndarray,
    f: float | np.ndarray = 1.0,
    *,
    face_mean: str = "geometric",
    tolerance: float = 1e-8,
    max_iterations: int = 200,
) -> DarcySolution:
    r"""Solve :math:`-\nabla\cdot(a \nabla u) = f`, :math:`u = 0` on the boundary, of second order in h.

    The preconditioner is the discrete Laplacian, inverted by sine transforms: the condition number is at most
    max(a) / min(a) on every grid, so the number of iterations (about 20 at a ratio of 4) does not grow.

    The face between two nodes takes the geometric mean of their coefficients by default, which is the most accurate
    for a in {3, 12} cut from a rough field (figures in the card of the set). The arithmetic mean takes the two
    phases in parallel and is too conductive, the harmonic in series and not conductive enough; in the plane a
    symmetric mixture conducts as its geometric mean (Keller 1964, Dykhne 1971). The generator of the published set
    uses the arithmetic mean.

    Args:
        a: ``[S, S]`` positive coefficient at the nodes.
        f: source, a number or ``[S, S]``.
        face_mean: "geometric", "harmonic" or "arithmetic".
        tolerance: relative residual to reach; at 1e-8 the relative error of u is about 2e-12.
        max_iterations: iterations after which it gives up.

    Raises:
        ValueError: for a coefficient that is not square or not positive, or an unknown mean.
        RuntimeError: if the tolerance is not reached.
    """
    if a.ndim != 2 or a.shape[0] != a.shape[1] or a.shape[0] < 3 or not a.min() > 0:
        raise ValueError(f"a has shape {a.shape} and minimum {a.min()}; expected [S, S], S >= 3, positive")
    if face_mean not in FACE_MEANS:
        raise ValueError(f"face_mean={face_mean!r}; choose from {list(FACE_MEANS)}")
    mean, inner, inverse_h2 = FACE_MEANS[face_mean], len(a) - 2, (len(a) - 1.0) ** 2
    ax = inverse_h2 * mean(a[1:, 1:-1], a[:-1, 1:-1])  # [S - 1, S - 2]
    ay = inverse_h2 * mean(a[1:-1, 1:], a[1:-1, :-1])  # [S - 2, S - 1]
    wave = inverse_h2 * (2 - 2 * np.cos(np.pi * np.arange(1, inner + 1) / (inner + 1)))
    eigenvalues = wave[:, None] + wave  # of the discrete Laplacian, [S - 2, S - 2]
    padded = np.zeros(a.shape)

    def apply(v: np.ndarray) -> np.ndarray:
        padded[1:-1, 1:-1] = v
        flux_x = ax * (padded[1:, 1:-1] - padded[:-1, 1:-1])
        flux_y = ay * (padded[1:-1, 1:] - padded[1:-1, :-1])
        return flux_x[:-1] - flux_x[1:] + flux_y[:, :-1] - flux_y[:, 1:]

    def precondition(r: np.ndarray) -> np.ndarray:
        return idstn(dstn(r, type=1) / eigenvalues, type=1, overwrite_x=True)

    rhs = np.full((inner, inner), f, float) if np.isscalar(f) else np.array(f, float)[1:-1, 1:-1]
    x, iterations, residual = _conjugate_gradients(apply, precondition, rhs, tolerance, max_iterations)
    u = np.zeros(a.shape)
    u[1:-1, 1:-1] = x
    return DarcySolution(a, u, iterations, residual)


def _conjugate_gradients(
    apply: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    rhs: np.ndarray,
    tolerance: float,
    max_iterations: int,
) -> tuple[np.ndarray, int, float]:
    x, r = np.zeros_like(rhs), rhs.copy()
    scale = float(np.linalg.norm(rhs)) or 1.0
    p, rz, residual = np.zeros_like(rhs), 1.0, float(np.linalg.norm(rhs)) / scale
    for iteration in range(max_iterations + 1):
        if residual <= tolerance:
            return x, iteration, residual
        z = precondition(r)
        rz, previous = float((r * z).sum()), rz  # not BLAS, whose sums depend on the number of threads
        p *= rz / previous
        p += z
        q = apply(p)
        step = rz / float((p * q).sum())
        x += step * p
        r -= step * q
        residual = float(np.linalg.norm(r)) / scale
    raise RuntimeError(
        f"conjugate gradients reached a relative residual of {residual:.1e} in {max_iterations} iterations; "
        f"{tolerance:.1e} was asked"
    )


def sample_darcy(
    seed: int | Sequence[int], resolution: int = 85, refine: int = 5, max_iterations: int = 200
) -> DarcySolution:
    """One sample of the square Darcy set: a random two-phase medium under a constant source f = 1.

    The sign of a Gaussian random field (tau = 3, alpha = 2) chooses a = 12 (at or above 0) or a = 3. The
    equation is solved on ``(resolution - 1) * refine + 1`` nodes per side and every ``refine``-th node is kept.
    The set-up is that of Li et al. (arXiv:2010.08895); the samples are not theirs.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the two sizes alone.
        resolution: S, nodes kept per side, boundary included.
        refine: steps of the solve per step kept.
        max_iterations: see :func:`solve_darcy`.

    Returns:
        ``a [S, S]`` and ``u [S, S]`` at the nodes kept.

    Raises:
        ValueError: if ``resolution`` is below 3 or ``refine`` below 1.
        RuntimeError: naming the seed, if the solver does not converge.
    """
    if resolution < 3 or refine < 1:
        raise ValueError(f"resolution={resolution}, refine={refine}; they must be at least 3 and 1")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    field = gaussian_random_field(rng, (resolution - 1) * refine + 1)
    try:
        fine = solve_darcy(np.where(field >= 0, 12.0, 3.0), max_iterations=max_iterations)
    except RuntimeError as error:
        raise RuntimeError(f"Darcy sample with seed {seed}: {error}") from error
    kept = slice(None, None, refine)
    return DarcySolution(fine.a[kept, kept].copy(), fine.u[kept, kept].copy(), fine.iterations, fine.residual)
