"""Sheets of an incompressible hyperelastic material in plane stress: quadratic elements and Newton's method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import skfem
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from .rivlin_saunders import C1, C2, rivlin_saunders

PointFunction = Callable[[np.ndarray], np.ndarray]
"""From points ``[2, ...]`` to vectors ``[2, ...]``."""


@dataclass(frozen=True)
class Equilibrium:
    """A deformed sheet; ``V`` vertices of the mesh, ``T`` triangles, ``Q`` quadrature points in each.

    Shapes:
        ``u [V, 2]`` displacement of the vertices (m), ``points [T, Q, 2]`` quadrature points before the
        deformation, ``stress [T, Q, 3]`` Cauchy stress there as s11, s22, s12 (Pa), ``reaction [2]`` sum of the
        forces that hold the fixed displacements (N per m of thickness); ``residual`` of equilibrium over the
        norm of the load, ``factorisations`` of a tangent matrix.
    """

    u: np.ndarray
    points: np.ndarray
    stress: np.ndarray
    reaction: np.ndarray
    residual: float
    factorisations: int


class _Sheet:
    """Quadratic elements on a mesh: internal forces and tangent matrix of a displacement ``[2 * nodes]``."""

    def __init__(self, mesh: skfem.MeshTri, c1: float, c2: float):
        self.constants = (c1, c2)
        # Three points integrate the linear problem exactly, and are where the stress is most accurate.
        self.basis = skfem.Basis(mesh, skfem.ElementTriP2(), intorder=2)
        slopes = np.stack([self.basis.basis[i][0].grad for i in range(6)])  # [6, 2, T, Q]
        self.slopes = np.ascontiguousarray(slopes.transpose(2, 3, 1, 0))  # [T, Q, 2, 6]
        self.weights = self.basis.dx[..., None, None]  # [T, Q, 1, 1]
        nodes = self.basis.element_dofs.T
        self.dofs = np.concatenate([nodes, nodes + self.basis.N], axis=1)  # [T, 12]
        self.size = 2 * self.basis.N

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Displacement gradient ``[T, Q, 2, 2]``; with 1 on the diagonal, the deformation gradient."""
        return u[self.dofs].reshape(-1, 1, 2, 6) @ self.slopes.swapaxes(2, 3)

    def stress(self, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Second Piola-Kirchhoff stress ``[T, Q, 3]`` and tangent ``[T, Q, 3, 3]``."""
        product = 0.5 * h.swapaxes(2, 3) @ h
        one, two = (h[..., i, i] + product[..., i, i] for i in (0, 1))
        strain = np.stack([one, two, h[..., 0, 1] + h[..., 1, 0] + 2 * product[..., 0, 1]])
        stress, tangent = rivlin_saunders(strain, *self.constants)
        return stress.transpose(1, 2, 0), tangent.transpose(2, 3, 0, 1)

    def strain_of_dofs(self, h: np.ndarray) -> np.ndarray:
        """Derivative of E11, E22, 2 E12 by the displacements of the nodes, ``[T, Q, 3, 12]``."""
        f = np.eye(2) + h
        x, y = self.slopes[..., 0, :], self.slopes[..., 1, :]  # [T, Q, 6]
        rows = []
        for i in (0, 1):
            one, two = f[..., i, 0, None], f[..., i, 1, None]
            rows.append(np.stack([one * x, two * y, one * y + two * x], axis=2))
        return np.concatenate(rows, axis=3)

    def forces(self, u: np.ndarray) -> np.ndarray:
        """Internal forces ``[2 * nodes]``."""
        h = self.gradient(u)
        stress, _ = self.stress(h)
        local = (self.weights[..., 0] * stress)[..., None, :] @ self.strain_of_dofs(h)  # [T, Q, 1, 12]
        return np.bincount(self.dofs.ravel(), local.sum(axis=(1, 2)).ravel(), self.size)

    def tangent(self, u: np.ndarray):
        """Derivative of the internal forces, sparse ``[2 * nodes, 2 * nodes]``, symmetric."""
        h = self.gradient(u)
        stress, tangent = self.stress(h)
        cells, points = stress.shape[:2]
        strain = self.strain_of_dofs(h)
        flat = (cells, 3 * points, 12)
        local = strain.reshape(flat).swapaxes(1, 2) @ (self.weights * tangent @ strain).reshape(flat)
        matrix = stress[..., [0, 2, 2, 1]].reshape(cells, points, 2, 2)
        flat = (cells, 2 * points, 6)
        initial = self.slopes.reshape(flat).swapaxes(1, 2) @ (self.weights * matrix @ self.slopes).reshape(flat)
        local[:, :6, :6] += initial
        local[:, 6:, 6:] += initial
        rows, columns = np.broadcast_arrays(self.dofs[:, :, None], self.dofs[:, None, :])
        return coo_matrix((local.ravel(), (rows.ravel(), columns.ravel())), shape=(self.size, self.size)).tocsc()


class _Load:
    """Forces of tractions and body forces, and which displacements are held at what, at full load."""

    def __init__(self, sheet: _Sheet, fixed, traction, body_force, displacement):
        basis, where = sheet.basis, sheet.basis.doflocs
        self.held = np.broadcast_to(fixed(where), where.shape).ravel()
        if self.held.sum() < 3:
            raise ValueError(f"fixed holds {self.held.sum()} displacements; at least 3 are needed to stop rigid motion")
        values = np.zeros(where.shape) if displacement is None else displacement(where)
        self.displacement = np.where(self.held, values.ravel(), 0.0)
        self.forces = np.zeros(sheet.size)
        parts = [(skfem.FacetBasis(basis.mesh, basis.elem, intorder=5), traction)]
        if body_force is not None:
            parts.append((skfem.Basis(basis.mesh, basis.elem, intorder=5), body_force))
        for part, function in parts:
            for axis, value in enumerate(function(np.asarray(part.global_coordinates()))):
                self.forces[axis * basis.N : (axis + 1) * basis.N] += _load.assemble(part, f=value)


@skfem.LinearForm
def _load(v, w):
    return w.f * v


def solve_hyperelastic(
    mesh: skfem.MeshTri,
    fixed: Callable[[np.ndarray], np.ndarray],
    traction: PointFunction,
    *,
    body_force: PointFunction | None = None,
    displacement: PointFunction | None = None,
    c1: float = C1,
    c2: float = C2,
    tolerance: float = 1e-10,
) -> Equilibrium:
    """Solve ``div(F S) + body force = 0`` in the undeformed sheet; order 3 in u, 2 in the stress.

    The load is applied at once; where Newton's method does not converge, in steps of half that size, and so on.

    Args:
        mesh: the undeformed sheet, in m.
        fixed: which displacements are held at points ``[2, n]``, bool ``[2, n]``: ux and uy.
        traction: force at points ``[2, ...]`` of the boundary per undeformed area (Pa), ``[2, ...]``; it keeps its
            direction. It has no effect on held displacements.
        body_force: force per undeformed volume (N/m³), in the same form; 0 when None.
        displacement: of held points (m), in the same form; 0 when None.
        c1, c2: constants of the material in Pa.
        tolerance: allowed residual of equilibrium, over the norm of all nodal forces.

    Raises:
        ValueError: if fewer than three displacements are held.
        RuntimeError: if Newton's method fails at a 64th of the load.
    """
    sheet = _Sheet(mesh, c1, c2)
    load = _Load(sheet, fixed, traction, body_force, displacement)
    u, done, step, count = np.zeros(sheet.size), 0.0, 1.0, 0
    residual = 0.0
    while done < 1:
        with np.errstate(all="ignore"):  # a diverging iteration is recognised by its residual
            trial, residual, used = _newton(sheet, load, u, min(1.0, done + step), tolerance)
        count += used
        if trial is not None:
            u, done = trial, min(1.0, done + step)
        elif (step := step / 2) < 1 / 64:
            raise RuntimeError(
                f"Newton's method left a residual of {residual:.1e} at {done + 2 * step:.3f} of the load"
            )
    h = sheet.gradient(u)
    stress, _ = sheet.stress(h)
    f = np.eye(2) + h
    cauchy = f @ stress[..., [0, 2, 2, 1]].reshape(f.shape) @ f.swapaxes(2, 3)  # det F is 1 in three dimensions
    where = np.asarray(sheet.basis.global_coordinates()).transpose(1, 2, 0)
    reaction = np.where(load.held, sheet.forces(u) - load.forces, 0.0).reshape(2, -1).sum(axis=1)
    vertices = u.reshape(2, -1)[:, sheet.basis.nodal_dofs[0]].T
    return Equilibrium(vertices, where, cauchy.reshape(*f.shape[:2], 4)[..., [0, 3, 1]], reaction, residual, count)


def _newton(
    sheet: _Sheet, load: _Load, u: np.ndarray, fraction: float, tolerance: float, most: int = 20
) -> tuple[np.ndarray | None, float, int]:
    """Equilibrium from ``u`` on, None if not found; its residual; tangents factorised.

    A factorisation costs as much as ten iterations with it, so it is kept as long as each gains a digit.
    """
    u, free = np.where(load.held, fraction * load.displacement, u), ~load.held
    factor, count, residual, last = None, 0, np.inf, np.inf
    for _ in range(most):
        internal = sheet.forces(u)
        out = fraction * load.forces - internal
        scale = max(np.linalg.norm(internal), np.linalg.norm(fraction * load.forces)) or 1.0
        residual = float(np.linalg.norm(out[free]) / scale)
        if residual <= tolerance:
            return u, residual, count
        if not np.isfinite(residual):
            break
        if factor is None or residual > 0.1 * last:
            # Symmetric: an ordering of A + A^T without pivoting fills in far less.
            inner = sheet.tangent(u)[free][:, free]
            factor = splu(inner, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
            count += 1
        u, last = u.copy(), residual
        u[free] += factor.solve(out[free])
        if not (np.linalg.det(np.eye(2) + sheet.gradient(u)) > 0).all():
            break  # turned inside out: the step was too large
    return None, residual, count


def stress_at_vertices(mesh: skfem.MeshTri, state: Equilibrium) -> np.ndarray:
    """Cauchy stress s11, s22, s12 at the vertices, ``[V, 3]``: the mean of what the triangles around give.

    In each triangle it is the linear function through the three quadrature points, where it is most accurate.
    """
    corners = mesh.p.T[mesh.t.T]  # [T, 3, 2]
    ones = np.ones((*corners.shape[:2], 1))
    linear = np.linalg.solve(np.concatenate([ones, state.points], axis=2), state.stress)  # [T, 3, 3]
    values = np.concatenate([ones, corners], axis=2) @ linear
    vertex, count = mesh.t.T.ravel(), mesh.p.shape[1]
    sums = [np.bincount(vertex, values[..., k].ravel(), count) for k in range(3)]
    return np.stack(sums, axis=1) / np.bincount(vertex, minlength=count)[:, None]
