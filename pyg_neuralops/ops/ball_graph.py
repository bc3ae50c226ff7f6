"""Neighbours within a length of the domain, the same window on a finer mesh."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor
from torch_geometric.utils import scatter

from .edges import smallest_reach
from .knn import check_positions, sample_sizes, with_self, wrapped
from .spread_order import spread_order

PAIRS = 1 << 22  # pairs worked on at a time, which bounds the memory
ROUNDING = 1e-6  # points at the radius but for the rounding of float32 are inside


def domain_length(pos: Tensor, batch: Tensor | None = None, period: Tensor | None = None) -> Tensor:
    """The longest side of each sample's bounding box; on axes with a period the box is one period long. ``-> [B]``"""
    if batch is None:
        batch = pos.new_zeros(len(pos), dtype=torch.long)
    count = int(batch.max()) + 1 if len(batch) else 1
    sides = scatter(pos, batch, 0, count, "max") - scatter(pos, batch, 0, count, "min")  # [B, D]
    return (sides if period is None else torch.where(period > 0, period, sides)).amax(1)


def domain_reach(
    pos: Tensor, radius: Tensor | float, batch: Tensor | None = None, period: Tensor | None = None
) -> Tensor:
    """``radius`` times the length of the domain at every node, clamped away from 0. ``-> [N]``"""
    length = radius * domain_length(pos, batch, period)
    at_node = length.expand(len(pos)) if batch is None else length.index_select(0, batch)
    return at_node.clamp_min(smallest_reach(pos.dtype))


def ball_graph(
    pos: Tensor, radius: float, k: int, least: int = 1, batch: Tensor | None = None, period: Tensor | None = None
) -> Tensor:
    """Edges to each point from those within ``radius`` times the length of its domain, the point included.

    Where these are more than k, they are thinned: the ``least`` nearest stay, and of the others those that come first
    in :func:`spread_order`, a sample in which every region of the ball keeps its share of the points. All points have
    the same chance, whatever they weigh, so that a mean over the patch, or one by weight, remains what it was, to
    sampling error. Neighbouring points drop the same ones, which keeps the union of their patches small. Where points
    within the radius are fewer than ``least``, the nearest are taken that there are.

    Args:
        pos: positions ``[N, D]``, float32 or float64.
        radius: as a part of :func:`domain_length`.
        k: most points of a patch. least: fewest points of a patch, on a sample that has as many; at most k.
        batch: sample of each point ``[N]``, sorted.
        period: side lengths ``[D]`` of a periodic box, 0 on axes without period.

    Returns:
        ``edge_index [2, E]``, sorted by point and then by distance, the point itself first.

    Raises:
        ValueError: as :func:`knn_graph`; for a radius that is not positive, or least outside 1 to k.
    """
    check_positions(pos, k)
    if not 0 < radius < float("inf") or not 1 <= least <= k:
        raise ValueError(f"radius={radius}, least={least}; they must be positive, and between 1 and k={k}")
    points, box = pos.detach().double().cpu(), None if period is None else period.double().cpu()
    source, target, start = [], [], 0
    for sample in points.split(sample_sizes(pos, batch)):
        length = radius * float(domain_length(sample, None, box)) if len(sample) else 0.0
        for i, j in _balls(sample.numpy(), length, k, least, None if box is None else box.numpy()):
            source.append(j + start)
            target.append(i + start)
        start += len(sample)
    if not source:
        return torch.empty(2, 0, dtype=torch.long, device=pos.device)
    return torch.from_numpy(np.stack([np.concatenate(source), np.concatenate(target)])).to(pos.device)


def _balls(
    points: NDArray, radius: float, k: int, least: int, box: NDArray | None
) -> Iterator[tuple[NDArray, NDArray]]:
    """Points and their neighbours, block by block."""
    n = len(points)
    if n == 0:
        return
    located = points if box is None else wrapped(points, box)
    tree, threads, radius = cKDTree(located, boxsize=box), torch.get_num_threads(), radius * (1 + ROUNDING)
    found = tree.query(located, np.arange(1, min(least, n) + 1), workers=threads)[1]
    nearest = with_self(torch.from_numpy(np.ascontiguousarray(found)), True, min(least, n)).numpy()  # [n, least]
    count = tree.query_ball_point(located, radius, return_length=True, workers=threads) + nearest.shape[1]
    order = spread_order(located) if count.max() > k else np.zeros(n, np.int64)
    for rows in np.split(np.arange(n), np.flatnonzero(np.diff(np.cumsum(count) // PAIRS)) + 1):
        pairs = cKDTree(located[rows], boxsize=box).sparse_distance_matrix(tree, radius, output_type="ndarray")
        near = np.repeat(rows, nearest.shape[1]) * n + nearest[rows].ravel()
        # One integer a pair; the first of two equal ones is kept, which tells those of the nearest.
        pair, first = np.unique(np.concatenate([near, rows[pairs["i"]] * n + pairs["j"]]), return_index=True)
        i, j = pair // n, pair % n
        i, j = _first(k, i, j, (order[j], first >= len(near)))
        offset = located[j] - located[i]
        if box is not None:
            side = np.where(box > 0, box, np.inf)
            offset -= np.where(box > 0, box, 0.0) * np.round(offset / side)
        yield _first(k, i, j, (j, np.square(offset).sum(1), i != j))


def _first(k: int, i: NDArray, j: NDArray, by: tuple[NDArray, ...]) -> tuple[NDArray, NDArray]:
    """The first k pairs of every i, sorted by i and then ``by`` the last of these keys, the one before, ..."""
    sort = np.lexsort((*by, i))
    i, j = i[sort], j[sort]
    keep = np.arange(len(i)) - np.searchsorted(i, i) < k
    return i[keep], j[keep]
