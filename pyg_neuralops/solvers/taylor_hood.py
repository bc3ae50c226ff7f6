"""Taylor-Hood elements (Q2 velocity, Q1 pressure) on curved structured grids: assembly in elimination order."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.sparse import csc_matrix

Force = Callable[[np.ndarray], np.ndarray]
"""Body force per unit of mass at points: ``[2, ...] -> [2, ...]``."""


def dissection_order(i: np.ndarray, j: np.ndarray, leaf: int = 4) -> np.ndarray:
    """Nested dissection of unknowns at integer lattice positions ``i [n], j [n]``: a permutation ``[n]``.

    Both halves come before the lattice line that separates them. Separators lie on even lines, the edges of
    quadratic elements, where they cut all coupling between the halves (George 1973).
    """
    pieces: list[np.ndarray] = []

    def divide(part: np.ndarray) -> None:
        axes = (i[part], j[part])
        extents = [int(np.ptp(axis)) if len(part) else 0 for axis in axes]
        longest = axes[0] if extents[0] >= extents[1] else axes[1]
        low, high = (int(longest.min()), int(longest.max())) if len(part) else (0, 0)
        middle = (low + high) // 2 // 2 * 2
        if max(extents) <= leaf or not low < middle < high:
            pieces.append(part)
            return
        divide(part[longest < middle])
        divide(part[longest > middle])
        pieces.append(part[longest == middle])

    divide(np.arange(len(i)))
    return np.concatenate(pieces)


class _Topology:
    """Numbers of the unknowns and the sparsity of the matrix; the same for all shapes of one size.

    Unknowns: u at the Q2 nodes, v at the Q2 nodes, p at the vertices. ``order`` lists the free ones as they are
    eliminated; inlet (first line of nodes) and walls (first and last node of each line) are not free.
    """

    def __init__(self, along: int, across: int):
        lines, points = 2 * along + 1, 2 * across + 1
        nodes = np.arange(lines * points).reshape(lines, points)
        vertices = np.arange((along + 1) * (across + 1)).reshape(along + 1, across + 1)
        ends = (2 * along - 1, 2 * across - 1)
        quadratic = [nodes[a : a + ends[0] : 2, b : b + ends[1] : 2].ravel() for a in range(3) for b in range(3)]
        linear = [vertices[a : a + along, b : b + across].ravel() for a in range(2) for b in range(2)]
        self.shape = (lines, points)
        self.nodes, self.vertices = np.stack(quadratic, axis=1), np.stack(linear, axis=1)  # [E, 9], [E, 4]
        self.num_nodes, self.num_vertices = nodes.size, vertices.size
        self.size = 2 * nodes.size + vertices.size
        self.unknowns = np.concatenate(
            [self.nodes, self.nodes + nodes.size, self.vertices + 2 * nodes.size], axis=1
        )  # [E, 22]
        held = np.unique(np.concatenate([nodes[0], nodes[:, 0], nodes[:, -1]]))
        free = np.setdiff1d(np.arange(self.size), np.concatenate([held, held + nodes.size]))
        i, j = np.divmod(np.arange(nodes.size), points)
        p, q = np.divmod(np.arange(vertices.size), across + 1)
        lattice = np.concatenate([i, i, 2 * p]), np.concatenate([j, j, 2 * q])
        self.order = free[dissection_order(lattice[0][free], lattice[1][free])]
        self._pattern()

    def _pattern(self) -> None:
        """Where every entry of the element matrices goes in the data of the CSC matrix of the free unknowns."""
        count = len(self.order)
        rank = np.full(self.size, -1)
        rank[self.order] = np.arange(count)
        local = rank[self.unknowns]  # [E, 22]
        row, column = np.broadcast_arrays(local[:, :, None], local[:, None, :])
        between_pressures = np.zeros((22, 22), bool)
        between_pressures[18:, 18:] = True
        self.kept = np.flatnonzero((row >= 0) & (column >= 0) & ~between_pressures)
        key = column.ravel()[self.kept] * count + row.ravel()[self.kept]
        unique, self.slot = np.unique(key, return_inverse=True)
        column_of, self.indices = np.divmod(unique, count)
        self.indptr = np.searchsorted(column_of, np.arange(count + 1))

    def matrix(self, local: np.ndarray) -> csc_matrix:
        """Sum of the element matrices ``[E, 22, 22]`` over the free unknowns, in elimination order."""
        data = np.bincount(self.slot, local.ravel()[self.kept], len(self.indices))
        return csc_matrix((data, self.indices, self.indptr), shape=(len(self.order),) * 2)


_topology = lru_cache(maxsize=4)(_Topology)


def _shape_functions() -> tuple[np.ndarray, ...]:
    """Values and derivatives at 3 x 3 Gauss points: ``phi [9, q]``, ``d_phi [2, 9, q]``, ``psi [4, q]``, weights."""
    t, w = np.polynomial.legendre.leggauss(3)
    t, w = (t + 1) / 2, w / 2
    two = np.stack([2 * (t - 0.5) * (t - 1), 4 * t * (1 - t), 2 * t * (t - 0.5)])  # [3, 3]
    slope = np.stack([4 * t - 3, 4 - 8 * t, 4 * t - 1])
    one = np.stack([1 - t, t])
    phi, psi = np.kron(two, two), np.kron(one, one)  # node a * 3 + b, point k * 3 + l
    return phi, np.stack([np.kron(slope, two), np.kron(two, slope)]), psi, np.outer(w, w).ravel()


class TaylorHood:
    r"""Weak form of :math:`(w \cdot \nabla) w - \nu \Delta w + \nabla p = f`, :math:`\nabla \cdot w = 0`.

    Inlet and walls are held; at the last line of nodes :math:`\nu \partial_n w - p n = 0` holds weakly.

    Args:
        points: ``[2 m + 1, 2 n + 1, 2]`` nodes of m x n quadratic elements; the first axis runs from the inlet to
            the outlet, the second across, and the two form a right-handed pair.
        force: f; 0 when None.

    Raises:
        ValueError: if the shape is not odd by odd, or an element is folded or left-handed.
    """

    def __init__(self, points: np.ndarray, force: Force | None = None):
        if points.ndim != 3 or points.shape[2] != 2 or min(points.shape[:2]) < 3 or 0 in np.mod(points.shape[:2], 2):
            raise ValueError(f"points has shape {points.shape}; expected [2 m + 1, 2 n + 1, 2], m and n at least 1")
        self.topology = _topology(points.shape[0] // 2, points.shape[1] // 2)
        self.phi, d_phi, self.psi, weights = _shape_functions()
        corners = points.reshape(-1, 2)[self.topology.nodes]  # [E, 9, 2]
        (xs, xt), (ys, yt) = (np.einsum("dnq,En->dEq", d_phi, corners[..., axis]) for axis in (0, 1))
        area = xs * yt - xt * ys  # [E, q]
        if not area.min() > 0:
            raise ValueError(f"an element has the Jacobian {area.min():.1e}; it must be positive everywhere")
        xs, xt, ys, yt = (part[:, None] / area[:, None] for part in (xs, xt, ys, yt))  # [E, 1, q]
        self.gradient = np.stack([d_phi[0] * yt - d_phi[1] * ys, d_phi[1] * xs - d_phi[0] * xt])  # [2, E, 9, q]
        self.weight = area * weights  # [E, q]
        weighted = self.gradient * self.weight[:, None]  # [2, E, 9, q]
        self.stiffness = (weighted @ np.swapaxes(self.gradient, 2, 3)).sum(axis=0)  # [E, 9, 9]
        self.divergence = -np.swapaxes(weighted @ self.psi.T, 2, 3)  # [2, E, 4, 9]
        self.mass = (self.phi[:, None] * self.phi).reshape(81, -1).T  # [q, 81]
        where = np.einsum("nq,Ena->aEq", self.phi, corners)
        load = np.zeros_like(where) if force is None else np.broadcast_to(force(where), where.shape)
        self.load = (load * self.weight) @ self.phi.T  # [2, E, 9]

    def system(
        self, state: np.ndarray, viscosity: float, advection: float = 1.0, newton: bool = True
    ) -> tuple[csc_matrix, np.ndarray]:
        """Matrix and residual at a state ``[u, v, p]``, both over the free unknowns in elimination order.

        Args:
            state: values of all unknowns.
            viscosity: nu.
            advection: factor of the convective term; 0 is the Stokes problem.
            newton: the whole derivative; else that with the advecting velocity frozen (Picard).
        """
        top = self.topology
        u, v, p = np.split(state, [top.num_nodes, 2 * top.num_nodes])
        velocity, pressure = np.stack([u, v])[:, top.nodes], p[top.vertices]  # [2, E, 9], [E, 4]
        at_points = velocity @ self.phi  # [2, E, q]
        along = advection * (at_points[:, :, None] * self.gradient).sum(axis=0)  # w . grad phi, [E, 9, q]
        carried = np.swapaxes((along * self.weight[:, None]) @ self.phi.T, 1, 2)  # [E, 9 test, 9 trial]
        block = viscosity * self.stiffness + carried
        local = np.zeros((len(top.nodes), 22, 22))
        local[:, :9, :9] = local[:, 9:18, 9:18] = block
        residual = np.empty((len(top.nodes), 22))
        for c in (0, 1):
            own = slice(9 * c, 9 * c + 9)
            local[:, 18:, own] = self.divergence[c]
            local[:, own, 18:] = np.swapaxes(self.divergence[c], 1, 2)
            residual[:, own] = np.einsum("Eab,Eb->Ea", block, velocity[c]) - self.load[c]
            residual[:, own] += np.einsum("Epa,Ep->Ea", self.divergence[c], pressure)
            for d in (0, 1) if newton else ():
                slope = (velocity[c][:, None] @ self.gradient[d])[:, 0]  # d w_c / d x_d, [E, q]
                change = advection * (slope * self.weight) @ self.mass
                local[:, own, 9 * d : 9 * d + 9] += change.reshape(-1, 9, 9)
        residual[:, 18:] = np.einsum("dEpa,dEa->Ep", self.divergence, velocity)
        total = np.bincount(top.unknowns.ravel(), residual.ravel(), top.size)
        return top.matrix(local), total[top.order]
