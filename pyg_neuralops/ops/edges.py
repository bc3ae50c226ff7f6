"""Geometry of edges: relative positions and the reach of a node."""

from __future__ import annotations

import torch
from torch import Tensor


def relative_positions(pos: Tensor, edge_index: Tensor) -> Tensor:
    """``[p_j - p_i, |p_j - p_i|]`` of every edge j -> i. ``pos [N, D], edge_index [2, E] -> [E, D + 1]``."""
    source, target = edge_index
    offset = pos.index_select(0, source) - pos.index_select(0, target)
    return torch.cat([offset, offset.norm(dim=1, keepdim=True)], 1)


def incoming_reach(pos: Tensor, edge_index: Tensor) -> Tensor:
    """Length of each node's longest incoming edge, l_i, clamped away from 0. ``-> [N]``

    Where all neighbours coincide with the node (or there is none) the reach is the smallest normal number's
    square root, so that d_ij^2 / l_i^2 is 0 and never NaN.
    """
    source, target = edge_index
    length = (pos.index_select(0, source) - pos.index_select(0, target)).norm(dim=1)
    reach = pos.new_zeros(len(pos)).scatter_reduce(0, target, length, "amax")
    return reach.clamp_min(torch.finfo(pos.dtype).tiny ** 0.5)


def distance_rank(length: Tensor, index: Tensor) -> Tensor:
    """Rank of each edge among those with the same ``index``, by rising ``length``: 0 for the shortest. ``-> [E]``"""
    order = length.argsort(stable=True)
    order = order[index[order].argsort(stable=True)]
    counts = torch.bincount(index)
    start = (counts.cumsum(0) - counts)[index[order]]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - start
    return rank
