"""K nearest neighbours under each point's own distance, exactly, from Euclidean candidates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from .edges import nearest_image
from .knn import check_positions, sample_sizes, with_self, wrapped

PAIRS = 1 << 20  # candidate pairs worked on at a time, which bounds the memory
PROBES = 200  # points that estimate the number of candidates


def metric_knn_graph(
    pos: Tensor,
    k: int,
    distance: Callable[[Tensor, Tensor], Tensor],
    stretch: Tensor,
    batch: Tensor | None = None,
    period: Tensor | None = None,
) -> Tensor:
    r"""Edges from each point's k nearest under a distance :math:`m_i(p_j - p_i)` of its own, the point included.

    Euclidean candidates are ranked by :math:`m_i`. They cover the answer at point i as soon as

    .. math:: m_i(\text{K-th best}) \le R_i / s_i, \qquad s_i \ge |p| / m_i(p) \text{ for all } p,

    :math:`R_i` being the distance of the farthest candidate: whatever lies beyond it is no nearer than
    :math:`R_i / s_i`. Points where this fails get twice as many candidates, up to the whole sample.

    Args:
        pos: positions ``[N, D]``.
        k: neighbours per point, itself included; min(k, n) on a sample of n points.
        distance: ``(index [n], offset [n, M, D]) -> [n, M]``, the distances m_i of offsets p_j - p_i from the
            points ``index``; in float64.
        stretch: s ``[N]``.
        batch: sample of each point, sorted.
        period: side lengths ``[D]`` of a periodic box, 0 on axes without period.

    Returns:
        ``edge_index [2, E]``, sorted by point and then by distance m_i.

    Raises:
        ValueError: as :func:`knn_graph`.
    """
    check_positions(pos, k)
    sizes = sample_sizes(pos, batch)
    box = None if period is None else period.double().cpu().numpy()
    neighbours, starts = [], np.cumsum([0, *sizes])
    for start, n in zip(starts[:-1].tolist(), sizes, strict=True):
        points = pos[start : start + n].detach().double().cpu()
        found = _nearest(points, min(k, n), distance, stretch.double().cpu(), start, box)
        neighbours.append(found.flatten() + start)
    counts = torch.tensor([min(k, n) for n in sizes]).repeat_interleave(torch.tensor(sizes))
    target = torch.arange(len(pos)).repeat_interleave(counts)
    source = torch.cat(neighbours) if neighbours else target
    return torch.stack([source, target]).to(pos.device)


def _nearest(
    points: Tensor,
    k: int,
    distance: Callable[[Tensor, Tensor], Tensor],
    stretch: Tensor,
    start: int,
    box: np.ndarray | None,
) -> Tensor:
    """``points [n, D] -> [n, k]`` indices within the sample that starts at node ``start``."""
    n, threads = len(points), torch.get_num_threads()
    located = points.numpy() if box is None else wrapped(points.numpy(), box)
    tree = cKDTree(located, boxsize=box)

    def rank(rows: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The best k of ``count`` candidates, the radius needed to be sure of them, and the candidates' distances."""
        radius, index = tree.query(located[rows.numpy()], count, workers=threads)
        index = torch.from_numpy(index.reshape(len(rows), count))
        offset = points[index] - points[rows, None]  # [rows, count, D]
        if box is not None:
            offset = nearest_image(offset, torch.from_numpy(box))
        best = distance(rows + start, offset).topk(k, 1, largest=False)
        needed = best.values[:, -1] * stretch[rows + start]
        return index.gather(1, best.indices), needed, torch.from_numpy(radius.reshape(len(rows), count))

    count = k if stretch[start : start + n].max() <= 1 else 4 * k
    # A few points tell how many candidates most will need; starting low would rank everything twice.
    for _ in range(2):
        _, needed, radius = rank(torch.arange(0, n, max(1, n // PROBES)), min(n, 4 * count))
        count = max(count, int((radius <= needed[:, None]).sum(1).double().quantile(0.9)) + 1)
    out = torch.empty(n, k, dtype=torch.long)
    todo = torch.arange(n)
    while len(todo):
        count, failed = min(n, count), []
        for rows in todo.split(max(1, PAIRS // count)):
            out[rows], needed, radius = rank(rows, count)
            failed.append(rows[(needed > radius[:, -1]) & (count < n)])
        todo, count = torch.cat(failed), 2 * count
    return with_self(out, True, k)
