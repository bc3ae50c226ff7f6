"""Poisson's equation in a deformed cube: exact solutions, or linear tetrahedra with conjugate gradients."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, cg

from .tetrahedra import TetrahedralMesh, deformed_lattice, random_bulge

MODES = ("exact", "fem")
SOLVERS = ("auto", "amg", "cg")
LARGE = 50_000
"""Unknowns above which "auto" takes algebraic multigrid, where pyamg is installed."""


@dataclass(frozen=True)
class PoissonSample:
    """Solution of ``-lap u = f`` in a deformed unit cube, u given on its boundary; dimensionless.

    Shapes:
        ``points [V, 3]``, ``f [V]`` source, ``g [V]`` boundary values, 0 inside, and ``u [V]``, float64;
        ``boundary [V]`` bool; ``tetrahedra [T, 4]`` int32, of positive volume; ``redraws`` of the deformation;
        ``damped`` points of smaller jitter; ``residual`` of the linear system, relative, 0 without one.
    """

    points: np.ndarray
    tetrahedra: np.ndarray
    f: np.ndarray
    g: np.ndarray
    boundary: np.ndarray
    u: np.ndarray
    redraws: int
    damped: int
    residual: float


def stiffness_and_load(mesh: TetrahedralMesh, f: np.ndarray, block: int = 1 << 18) -> tuple[csr_matrix, np.ndarray]:
    """Matrix of ``grad u . grad v`` and vector of ``f v`` for linear elements, f taken linear between its nodes.

    Assembled in blocks of elements: at a million points, the 90 million entries before summation would take as
    much memory as everything else together.
    """
    count = len(mesh.points)
    matrix, load = csr_matrix((count, count)), np.zeros(count)
    for first in range(0, len(mesh.tetrahedra), block):
        corner = mesh.tetrahedra[first : first + block]  # [t, 4]
        edge = mesh.points[corner[:, 1:]] - mesh.points[corner[:, :1]]  # [t, 3, 3], rows
        volume = np.linalg.det(edge) / 6
        slope = np.linalg.inv(edge).transpose(0, 2, 1)  # rows: gradients of corners 1 to 3
        slope = np.concatenate([-slope.sum(axis=1, keepdims=True), slope], axis=1)  # [t, 4, 3]
        local = volume[:, None, None] * (slope @ slope.transpose(0, 2, 1))  # [t, 4, 4]
        rows, columns = np.repeat(corner, 4, axis=1).ravel(), np.tile(corner, 4).ravel()
        matrix = matrix + csr_matrix((local.ravel(), (rows, columns)), (count, count))
        value = f[corner]
        mass = volume[:, None] / 20 * (value + value.sum(axis=1, keepdims=True))
        load += np.bincount(corner.ravel(), mass.ravel(), count)
    return matrix, load


def solve_poisson(
    mesh: TetrahedralMesh, f: np.ndarray, g: np.ndarray, *, solver: str = "auto", tolerance: float = 1e-9
) -> tuple[np.ndarray, float]:
    """Solve ``-lap u = f`` with u = g on the boundary; of second order in h.

    Args:
        mesh: tetrahedra.
        f: source at the points ``[V]``.
        g: ``[V]``, read on the boundary.
        solver: conjugate gradients with algebraic multigrid ("amg", from pyamg) or with the diagonal ("cg");
            "auto" takes multigrid above 50,000 unknowns where pyamg is installed.
        tolerance: relative residual to reach.

    Returns:
        u ``[V]``, and the relative residual.

    Raises:
        ValueError: for an unknown solver.
        ImportError: for solver="amg" without pyamg.
        RuntimeError: if the tolerance is not reached.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver={solver!r}; choose from {list(SOLVERS)}")
    matrix, load = stiffness_and_load(mesh, f)
    u = np.where(mesh.boundary, g, 0.0)
    free = np.flatnonzero(~mesh.boundary)
    rhs = (load - matrix @ u)[free]
    inner = matrix[free][:, free]
    if solver == "auto":
        solver = "amg" if len(free) > LARGE and importlib.util.find_spec("pyamg") else "cg"
    precondition = _multigrid(inner) if solver == "amg" else _diagonal(inner)
    u[free], _ = cg(inner, rhs, rtol=tolerance / 2, maxiter=5000, M=precondition)
    residual = float(np.linalg.norm(inner @ u[free] - rhs) / (np.linalg.norm(rhs) or 1.0))
    if not residual <= tolerance:
        raise RuntimeError(f"conjugate gradients reached a relative residual of {residual:.1e}; {tolerance} was asked")
    return u, residual


def _diagonal(matrix: csr_matrix) -> LinearOperator:
    scale = 1 / matrix.diagonal()
    return LinearOperator(matrix.shape, matvec=lambda r: scale * r, dtype=float)


def _multigrid(matrix: csr_matrix) -> LinearOperator:
    try:
        import pyamg
    except ImportError as error:
        raise ImportError(
            'solver="amg" needs pyamg: pip install pyamg, or the extra "generate" of pyg-neuralops'
        ) from error
    # It estimates eigenvalues from numpy's global random numbers, on which a sample must not depend.
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        return pyamg.smoothed_aggregation_solver(matrix, max_coarse=500).aspreconditioner()
    finally:
        np.random.set_state(state)  # noqa: NPY002


def sample_poisson(
    seed: int | Sequence[int], per_side: int = 11, mode: str = "exact", jitter: float = 0.2
) -> PoissonSample:
    """One sample with the exact solution ``u = sin(k . x) + x y``, so that ``f = |k|² sin(k . x)``.

    k has a uniform direction and a length U[2, 6]; the cube is deformed at random and its inner points shaken.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone.
        per_side: points along a side; V is its cube: 11 gives 1,331, 21 9,261, 46 97,336, and 99 970,299.
        mode: u as it is ("exact", nothing is solved), or that of linear elements ("fem").
        jitter: of the inner points, in spacings.

    Raises:
        ValueError: if ``per_side`` is below 3, ``jitter`` not in [0, 0.5), or the mode unknown.
        RuntimeError: naming the seed, if the mesh or the solve fails.
    """
    if mode not in MODES:
        raise ValueError(f"mode={mode!r}; choose from {list(MODES)}")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    direction = rng.normal(size=3)
    wave = rng.uniform(2.0, 6.0) * direction / np.linalg.norm(direction)
    try:
        bulge, redraws = random_bulge(rng)
        mesh = deformed_lattice(rng, per_side, jitter, bulge)
        points = mesh.points
        u = np.sin(points @ wave) + points[:, 0] * points[:, 1]
        f, g, residual = (wave @ wave) * np.sin(points @ wave), np.where(mesh.boundary, u, 0.0), 0.0
        if mode == "fem":
            u, residual = solve_poisson(mesh, f, g)
    except RuntimeError as error:
        raise RuntimeError(f"Poisson sample with seed {seed}: {error}") from error
    return PoissonSample(points, mesh.tetrahedra, f, g, mesh.boundary, u, redraws, mesh.damped, residual)
