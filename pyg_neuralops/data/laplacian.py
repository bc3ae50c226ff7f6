"""The Laplacian of a mesh or point cloud, as a sparse symmetric matrix beside the mass of its nodes."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ..ops import nearest_image
from .cells import CELLS
from .mesh_data import MeshData

EQUAL = 1e-6
"""How much eigenvalues may differ, over their size, and are taken for equal ones."""


def cell_stiffness(mesh: MeshData) -> sparse.csr_matrix:
    r"""Stiffness K of linear elements, :math:`u^\top K u = \int |\nabla u|^2`, ``[N, N]``.

    Cells that are no simplices count in the mean of the ways to cut them, as in
    :func:`pyg_neuralops.data.nodal_weights`; boundaries beside them have no
    part. Simplices without volume are left out.

    Raises:
        ValueError: if the mesh has no cells.
    """
    if not mesh.cells:
        raise ValueError("the sample has no cells; a point cloud has no stiffness of elements")
    pos = mesh.pos.detach().double().cpu()
    count, dim = len(pos), max(CELLS[name].dim for name in mesh.cells)
    # Gradients of the corners' hat functions in the simplex's own coordinates.
    corner = torch.cat([-torch.ones(1, dim, dtype=pos.dtype), torch.eye(dim, dtype=pos.dtype)])  # [dim + 1, dim]
    total = sparse.csr_matrix((count, count))
    for name, cells in mesh.cells.items():
        if CELLS[name].dim < dim:
            continue
        for corners in CELLS[name].simplices:
            simplices = cells.detach().cpu().long()[list(corners)]  # [dim + 1, T]
            edges = pos[simplices[1:]] - pos[simplices[:1]]  # [dim, T, D]
            gram = torch.einsum("itd,jtd->tij", edges, edges)
            size = torch.einsum("tii->t", gram) / dim
            det = gram.det()
            kept = det > 1e-14 * size**dim
            gram, det, simplices = gram[kept], det[kept], simplices[:, kept]
            volume = det.sqrt() / (math.factorial(dim) * CELLS[name].ways)
            local = torch.einsum("ai,tij,bj,t->abt", corner, gram.inverse(), corner, volume)
            row, column = simplices[:, None].expand(local.shape), simplices[None].expand(local.shape)
            entries = (local.flatten().numpy(), (row.flatten().numpy(), column.flatten().numpy()))
            total = total + sparse.coo_matrix(entries, shape=(count, count)).tocsr()
    return total


def cloud_laplacian(
    pos: Tensor, edges: Tensor, reach: Tensor, period: Tensor | None = None
) -> tuple[sparse.csr_matrix, Tensor]:
    r"""Dirichlet form L of a point cloud, :math:`u^\top L u \approx \int |\nabla u|^2`, ``[N, N]``, and mass w ``[N]``.

    .. math::
        L_{ij} = -c\, \bigl(1 - |p_j - p_i|^2 / h^2\bigr)_+ \frac{w_i w_j}{h^{D + 2}}, \quad
        h^2 = r_i r_j, \quad w_i = V_D r_i^D / k

    over the k nearest neighbours, r the distance to the k-th, :math:`V_D` the unit ball's volume and c = (D + 2)
    (D + 4) / V_D so that it is right for linear u and dense points: a weighted graph whose weights know the density
    (as in diffusion maps, Coifman and Lafon 2006). Rough near boundaries; eigenvalues are within a fifth on evenly
    spread points, and a third too low on independent ones.

    Args:
        pos: ``[N, D]``. edges: ``[2, N k]`` from neighbours to centres, without loops. reach: r, ``[N]``.
        period: ``[D]`` side lengths of a periodic box.
    """
    count, dim = pos.shape
    pos, reach = pos.detach().double().cpu(), reach.detach().double().cpu()
    source, target = edges.cpu()
    k = len(source) / max(count, 1)
    ball = math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
    offset = pos[source] - pos[target]
    offset = offset if period is None else nearest_image(offset, period.double().cpu())
    square = (reach[source] * reach[target]).clamp_min(torch.finfo(reach.dtype).tiny)
    shape = (1 - offset.square().sum(1) / square).clamp_min(0)
    scale = (dim + 2) * (dim + 4) * ball / k**2
    # Each pair stands in the edges of one or both of its points; it counts once, by the greater.
    weight = scale * shape * square ** (dim / 2 - 1)
    graph = sparse.coo_matrix((weight.numpy(), (source.numpy(), target.numpy())), shape=(count, count)).tocsr()
    graph = graph.maximum(graph.T)
    return sparse.diags(np.asarray(graph.sum(1))[:, 0]) - graph, ball * reach**dim / k


def lowest_modes(laplacian: sparse.csr_matrix, mass: np.ndarray, count: int, length: float) -> tuple:
    r"""The ``count`` lowest pairs of :math:`L \phi = \lambda M \phi`, M the diagonal of ``mass``.

    Equal eigenvalues come all or not at all, as a part of them would depend on the order of nodes and the machine.

    Returns:
        eigenvalues ``[m]``, rising and at least 0, and vectors ``[N, m]`` with :math:`\phi^\top M \phi = \sum M`; m is
        less than ``count`` where fewer nodes have mass, or ``count`` lies among equal ones. Nodes without mass have
        zeros.

    Args:
        length: of the domain, whose inverse square is the scale of the lowest eigenvalues.

    Raises:
        ValueError: if the lowest eigenvalues are all equal and more than ``count``.
    """
    has_mass = np.flatnonzero(mass > 1e-12 * mass.mean())
    root = np.sqrt(mass[has_mass])
    scaled = sparse.diags(1 / root) @ laplacian[has_mass][:, has_mass] @ sparse.diags(1 / root)
    scaled = ((scaled + scaled.T) / 2).tocsc()
    nodes = len(has_mass)
    wanted = count + 1
    if nodes <= max(2 * wanted, 64):
        values, vectors = np.linalg.eigh(scaled.toarray())
    else:
        shift = -0.1 / length**2  # below all of them, as the lowest is zero and the matrix must be regular
        start = np.random.default_rng(0).standard_normal(nodes)
        values, vectors = sparse.linalg.eigsh(scaled, k=wanted, sigma=shift, which="LM", v0=start)
        order = np.argsort(values)
        values, vectors = values[order], vectors[:, order]
    values = values.clip(min=0)
    if len(values) > count:
        apart = np.flatnonzero(np.diff(values[:wanted]) > EQUAL * np.maximum(values[1:wanted], length**-2))
        if not len(apart):
            raise ValueError(f"{count} modes are too few: the lowest eigenvalue occurs more often, choose more")
        count = int(apart[-1]) + 1
    values, vectors = values[:count], vectors[:, :count]
    whole = np.zeros((len(mass), len(values)))
    whole[has_mass] = vectors / root[:, None] * np.sqrt(mass.sum())
    return values, whole
