"""A linear system of finite elements whose solution is given on the boundary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skfem
from scipy.sparse import spmatrix
from scipy.sparse.linalg import splu


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
