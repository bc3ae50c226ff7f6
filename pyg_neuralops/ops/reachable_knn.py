"""K nearest neighbours that can be reached through the mesh, so that patches stay on one side of a solid."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree
from torch import Tensor

from .knn import check_positions

BLOCK = 128  # points searched together; the search tables have BLOCK rows


def reachable_knn_graph(pos: Tensor, k: int, edge_index: Tensor, detour: float = 2.0) -> Tensor:
    """Edges from each point's k nearest (Euclidean) among the points that it reaches, the point included.

    Point j is reached from i if the shortest path along the mesh edges is at most ``detour`` times as long as
    the straight line: two sides of a thin body or a slit do not reach each other, while on a mesh of a convex
    region everything does (the shortest path in a Delaunay triangulation is less than twice the straight line,
    Xia 2013; on a grid at most sqrt(D) times), so that there the answer is the plain one.

    Exact: Dijkstra's search from i is bounded by a path length L, which finds every reached point within L /
    detour; where the k-th of these is not found, L is doubled until it is or i's component is exhausted.

    Args:
        pos: positions ``[N, D]``.
        k: neighbours per point, the point itself included; fewer where it does not reach as many.
        edge_index: undirected mesh edges ``[2, E]``; edges do not leave a sample, so batches need no more.
        detour: longest path allowed, over the straight line; at least 1.

    Returns:
        ``edge_index [2, E]``, sorted by point and then by distance.

    Raises:
        ValueError: as :func:`knn_graph`, or if detour < 1.
    """
    check_positions(pos, k)
    if detour < 1:
        raise ValueError(f"detour={detour}; it must be at least 1")
    points = pos.detach().double().cpu().numpy()
    n = len(points)
    source, target = edge_index.cpu().numpy()
    length = np.linalg.norm(points[source] - points[target], axis=1)
    # An edge between coincident points has length 0, which a sparse matrix reads as no edge.
    length = np.maximum(length, np.finfo(float).tiny)
    graph = csr_matrix((length, (source, target)), (n, n))
    label = connected_components(graph, directed=False)[1]
    component = np.bincount(label)[label]  # points in the component of each point
    tree = cKDTree(points)
    bound = 1.1 * detour * tree.query(points, min(k, n), workers=torch.get_num_threads())[0].reshape(n, -1)[:, -1]
    bound = np.maximum(bound, np.finfo(float).tiny)
    # Points of like bounds go together, so that a block's search is no wider than its points need.
    todo, found = np.arange(n), []
    while len(todo):
        failed = []
        for block in _blocks(points, bound, todo):
            rows, columns, straight, done = _search(
                points, graph, tree, component, block, bound[block].max(), k, detour
            )
            found.append((rows, columns, straight))
            failed.append(block[~done])
        todo = np.concatenate(failed)
        bound[todo] *= 2
    rows, columns, straight = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((straight, rows))
    return torch.from_numpy(np.stack([columns[order], rows[order]])).to(pos.device)


def _blocks(points: np.ndarray, bound: np.ndarray, ids: np.ndarray) -> list[np.ndarray]:
    """Spatially compact groups of at most BLOCK points, by halving along the longest side."""
    if len(ids) <= BLOCK:
        return [ids]
    place = np.column_stack([points[ids], np.log(bound[ids]) * bound[ids].mean()])
    axis = np.argmax(np.ptp(place, axis=0))
    half = len(ids) // 2
    ids = ids[np.argpartition(place[:, axis], half)]
    return _blocks(points, bound, ids[:half]) + _blocks(points, bound, ids[half:])


def _search(
    points: np.ndarray,
    graph: csr_matrix,
    tree: cKDTree,
    component: np.ndarray,
    block: np.ndarray,
    widest: float,
    k: int,
    detour: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours of the points of a block that are settled by this bound, as (row, column, distance, settled)."""
    centre = (points[block].min(0) + points[block].max(0)) / 2
    radius = np.linalg.norm(points[block] - centre, axis=1).max() + widest
    near = np.sort(tree.query_ball_point(centre, radius * (1 + 1e-9)))
    local = np.searchsorted(near, block)
    path = dijkstra(graph[near][:, near], indices=local, limit=widest)  # [block, near]
    row, column = np.nonzero(np.isfinite(path))
    straight = np.linalg.norm(points[near[column]] - points[block[row]], axis=1)
    reached = path[row, column] <= detour * straight * (1 + 1e-9) + np.finfo(float).tiny * len(near)
    exhausted = np.bincount(row, minlength=len(block)) == component[block]
    row, column, straight = row[reached], column[reached], straight[reached]
    order = np.lexsort((straight, row))
    row, column, straight = row[order], column[order], straight[order]
    first = np.searchsorted(row, np.arange(len(block) + 1))
    rank = np.arange(len(row)) - first[row]
    # Within widest / detour nothing that is reached is missing.
    certain = np.bincount(row[straight <= widest / detour], minlength=len(block)) >= k
    settled = certain | exhausted
    keep = (rank < k) & settled[row]
    return block[row[keep]], near[column[keep]], straight[keep], settled
