"""Attention of each node over its incoming neighbours, one term per edge: the reference and the fallback."""

from __future__ import annotations

import torch
from torch import Tensor

from .edges import edge_offsets, incoming_reach
from .symmetric import check_metric, products


def coalesce(edge_index: Tensor, num_nodes: int) -> Tensor:
    """``[2, E']`` the distinct edges, ordered by target, then by source."""
    source, target = edge_index
    pair = torch.unique(target * num_nodes + source)
    return torch.stack((pair % num_nodes, pair // num_nodes))


def edge_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    edge_index: Tensor,
    *,
    pos: Tensor | None = None,
    strength: Tensor | float | None = None,
    reach: Tensor | None = None,
    direction: Tensor | None = None,
    period: Tensor | None = None,
    log_weight: Tensor | None = None,
    coalesced: bool = False,
    metric: Tensor | None = None,
) -> Tensor:
    r"""Exact softmax attention over incoming edges j -> i, with the score

    .. math::
        s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}} - g_h \frac{|p_j - p_i|^2}{l_i^2}
               + w_{ih} \cdot \frac{p_j - p_i}{l_i} + \log m_j,

    or with :math:`-(p_j - p_i)^\top A_{ih} (p_j - p_i) / l_i^2` in place of the second term.

    The same function as :func:`~pyg_neuralops.ops.tiled_attention`, which is several times faster and needs
    several times less memory; this one keeps every term explicit, works for any graph without preparation,
    and differentiates twice.

    Args:
        q, k: ``[N, H, d]`` queries and keys. v: ``[N, H, c]`` values.
        edge_index: ``[2, E]``, row 0 the neighbour j, row 1 the centre i; repeated edges count once.
        pos: ``[N, D]`` positions; needed by the geometric terms.
        strength: g, ``[H]`` or a scalar; None leaves the distance term out.
        reach: l, ``[N]``, positive; by default the longest incoming edge.
        direction: w, ``[N, H, D]``; None leaves the directional term out.
        period: ``[D]`` side lengths of a periodic box, 0 on axes without period.
        log_weight: log m, ``[N]``: each node counts as a neighbour by its weight m; None for one and the same.
        coalesced: the edges are known to be distinct, so the sort that makes them so is skipped.
        metric: A, in place of ``strength``: ``[N, H, D (D + 1) / 2]``, the lower triangles of symmetric matrices, row
            by row.

    Shapes:
        returns ``[N, H, c]``; zeros for a node without incoming edges.
    """
    check_metric(metric, strength, q, pos)
    if not coalesced:
        edge_index = coalesce(edge_index, len(q))
    source, target = edge_index
    score = (q.index_select(0, target) * k.index_select(0, source)).sum(-1) * q.shape[-1] ** -0.5  # [E, H]
    if strength is not None or direction is not None or metric is not None:
        if pos is None:
            raise ValueError("pos=None, but strength and direction are functions of the positions")
        reach = incoming_reach(pos, edge_index, period) if reach is None else reach
        offset = edge_offsets(pos, edge_index, period) / reach[target, None]  # [E, D]
        offset = offset.to(score.dtype)
        if strength is not None:
            score = score - strength * offset.square().sum(-1, keepdim=True)
        if metric is not None:
            score = score - (metric.index_select(0, target) * products(offset)[:, None]).sum(-1)
        if direction is not None:
            score = score + (direction.index_select(0, target) * offset[:, None]).sum(-1)
    if log_weight is not None:
        score = score + log_weight.index_select(0, source)[:, None].to(score.dtype)
    rows = target[:, None].expand_as(score)
    largest = torch.full_like(score[:1], -torch.inf).expand(len(q), -1)
    largest = largest.scatter_reduce(0, rows, score.detach(), "amax")  # [N, H]
    weight = (score - largest.index_select(0, target)).exp()
    total = weight.new_zeros(len(q), weight.shape[1]).index_add(0, target, weight)
    weight = weight / total.index_select(0, target)  # [E, H]
    message = weight[..., None] * v.index_select(0, source)  # [E, H, c]
    return v.new_zeros(v.shape).index_add(0, target, message.to(v.dtype))
