"""Geometry of edges: relative positions and the reach of a node."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import scatter


def edge_offsets(pos: Tensor, edge_index: Tensor, period: Tensor | None = None) -> Tensor:
    """``p_j - p_i`` of every edge j -> i, the shortest image in a periodic box. ``-> [E, D]``

    Args:
        period: side lengths ``[D]``, 0 on axes without period.
    """
    offset = pos.index_select(0, edge_index[0]) - pos.index_select(0, edge_index[1])
    return offset if period is None else nearest_image(offset, period)


def nearest_image(offset: Tensor, period: Tensor) -> Tensor:
    """``offset [..., D]`` moved by whole periods to the shortest one; axes of period 0 are left alone."""
    side = torch.where(period > 0, period, torch.inf)
    return offset - period * (offset / side).round()


def relative_positions(pos: Tensor, edge_index: Tensor, period: Tensor | None = None) -> Tensor:
    """``[p_j - p_i, |p_j - p_i|]`` of every edge j -> i. ``pos [N, D], edge_index [2, E] -> [E, D + 1]``."""
    offset = edge_offsets(pos, edge_index, period)
    return torch.cat([offset, offset.norm(dim=1, keepdim=True)], 1)


def incoming_reach(pos: Tensor, edge_index: Tensor, period: Tensor | None = None) -> Tensor:
    """Length of each node's longest incoming edge, l_i, clamped away from 0. ``-> [N]``

    Where all neighbours coincide with the node (or there is none) the reach is the smallest normal number's
    square root, so that d_ij^2 / l_i^2 is 0 and never NaN.
    """
    length = edge_offsets(pos, edge_index, period).norm(dim=1)
    reach = pos.new_zeros(len(pos)).scatter_reduce(0, edge_index[1], length, "amax")
    return reach.clamp_min(smallest_reach(pos.dtype))


def smallest_reach(dtype: torch.dtype) -> float:
    """What stands for a reach of 0: its square is a normal number still."""
    return torch.finfo(dtype).tiny ** 0.5


def distance_rank(length: Tensor, index: Tensor) -> Tensor:
    """Rank of each edge among those with the same ``index``, by rising ``length``: 0 for the shortest. ``-> [E]``"""
    order = length.argsort(stable=True)
    order = order[index[order].argsort(stable=True)]
    counts = torch.bincount(index)
    start = (counts.cumsum(0) - counts)[index[order]]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - start
    return rank


def edge_shares(weight: Tensor, edge_index: Tensor) -> Tensor:
    """w_j of every edge j -> i over the mean of those of all edges to i: factors that make a mean one by weight.

    Shapes: ``weight [N]``, positive; ``edge_index [2, E] -> [E]``.
    """
    source, target = edge_index
    w = weight.index_select(0, source)
    return w / scatter(w, target, 0, len(weight), "mean").index_select(0, target)
