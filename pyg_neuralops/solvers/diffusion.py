"""Diffusion on a triangulation: Lagrange elements, sparse LU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skfem
from scipy.sparse import spmatrix
from scipy.sparse.linalg import splu
from skfem.helpers import dot, grad, mul


@skfem.BilinearForm
def _stiffness(u, v, w):
    return dot(mul(w.a, grad(u)), grad(v))


@skfem.LinearForm
def _load(v, w):
    return w.f * v


def solve_diffusion(
    mesh: skfem.MeshTri,
    a: np.ndarray | Callable[[np.ndarray], np.ndarray],
    f: float | Callable[[np.ndarray], np.ndarray] = 1.0,
    boundary: Callable[[np.ndarray], np.ndarray] | None = None,
    degree: int = 2,
) -> tuple[np.ndarray, float]:
    """Solve ``-div(a grad u) = f`` with Lagrange elements; order ``degree + 1`` in the L2 norm.

    Args:
        mesh: a triangulation.
        a: one value a triangle ``[T]``, a function of points ``[2, ...]``, or one tensor for all ``[2, 2]``.
        f: source, a number or a function of points.
        boundary: values of u on the boundary as a function of points; 0 when None.
        degree: 1 or 2.

    Returns:
        u at the vertices of the mesh ``[V]``, and the relative residual of the linear system.

    Raises:
        ValueError: for another degree, or a tensor that is not symmetric and positive definite.
        RuntimeError: if the relative residual of the linear system is above 1e-8.
    """
    if degree not in (1, 2):
        raise ValueError(f"degree={degree}; choose from [1, 2]")
    basis = skfem.Basis(mesh, skfem.ElementTriP2() if degree == 2 else skfem.ElementTriP1(), intorder=2 * degree)
    where = np.asarray(basis.global_coordinates())  # [2, T, quadrature points]
    ones = np.ones(where.shape[1:])
    matrix = _stiffness.assemble(basis, a=_tensor(a, where))
    rhs = _load.assemble(basis, f=f(where) if callable(f) else f * ones)
    u, residual = solve_dirichlet(basis, matrix, rhs, boundary)
    return u[basis.nodal_dofs[0]], residual


def _tensor(a: np.ndarray | Callable[[np.ndarray], np.ndarray], where: np.ndarray) -> np.ndarray:
    """The conductivity at quadrature points ``[2, T, Q]`` as a tensor, ``[2, 2, T, Q]``."""
    ones = np.ones(where.shape[1:])
    if not callable(a) and np.shape(a) == (2, 2):
        if a[0, 1] != a[1, 0] or not np.linalg.eigvalsh(a).min() > 0:
            raise ValueError(f"a={np.asarray(a).tolist()}; a tensor must be symmetric and positive definite")
        return np.asarray(a)[:, :, None, None] * ones
    value = a(where) if callable(a) else np.asarray(a)[:, None] * ones
    return np.eye(2)[:, :, None, None] * value


def solve_dirichlet(
    basis: skfem.CellBasis,
    matrix: spmatrix,
    rhs: np.ndarray,
    boundary: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, float]:
    """Solve a symmetric positive definite system by sparse LU, the values on the boundary fixed.

    Args:
        basis: of n unknowns. matrix: ``[n, n]``. rhs: ``[n]``.
        boundary: values on the boundary as a function of points ``[2, ...]``; 0 when None.

    Returns:
        All unknowns ``[n]``, and the relative residual of the free ones.

    Raises:
        RuntimeError: if the residual is above 1e-8.
    """
    u, fixed = np.zeros(basis.N), basis.get_dofs().all()
    if boundary is not None:
        u[fixed] = boundary(basis.doflocs[:, fixed])
    free = basis.complement_dofs(fixed)
    rhs = (rhs - matrix @ u)[free]
    inner = matrix[free][:, free].tocsc()
    # Symmetric and positive definite: an ordering of A + A^T without pivoting fills in far less.
    factor = splu(inner, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    u[free] = factor.solve(rhs)
    residual = float(np.linalg.norm(inner @ u[free] - rhs) / (np.linalg.norm(rhs) or 1.0))
    if not residual <= 1e-8:
        raise RuntimeError(f"sparse LU left a relative residual of {residual:.1e}; 1e-8 is allowed")
    return u, residual
