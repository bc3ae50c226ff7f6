"""What a vector or tensor field says along edges, in numbers that no rotation or reflection changes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .edges import edge_offsets, relative_positions

PER_FIELD = 2
"""Columns that a field adds to the attributes of edges."""
ROUNDING = 8
"""In units of the last place of a vector's size."""


def edge_channels(pos_dim: int, fields: Sequence[str] = ()) -> int:
    """Columns of :func:`edge_attributes`."""
    return pos_dim + 1 + PER_FIELD * len(fields)


def edge_attributes(pos: Tensor, edge_index: Tensor, fields: Sequence[Tensor] = ()) -> Tensor:
    """:func:`relative_positions`, and beside them :func:`edge_field` of each field. ``-> [E, D + 1 + 2 fields]``."""
    parts = [edge_field(value, pos, edge_index) for value in fields]
    return torch.cat([relative_positions(pos, edge_index), *parts], 1)


def edge_field(value: Tensor, pos: Tensor, edge_index: Tensor) -> Tensor:
    r"""Two numbers of each edge j -> i with direction :math:`e = (p_j - p_i) / |p_j - p_i|`, ``[E, 2]``.

    Of a vector, :math:`u = (u_i + u_j) / 2`: :math:`u \cdot e`, below 0 where it points from j to i, and the size of
    what is across, :math:`|u - (u \cdot e) e|`. Of a tensor, :math:`A = (A_i + A_j) / 2`: :math:`e^\top A e` and its
    inverse. Nodes at one place have no direction: u is all across there, and A counts by its mean over directions.
    What of a vector is no more than rounding is 0, so that no sign and no normaliser makes something of it.

    Args:
        value: a vector ``[N, D]`` or a tensor ``[N, D, D]`` at the nodes.

    Raises:
        ValueError: for a tensor with :math:`e^\top A e \le 0` on an edge.
    """
    value = value.detach().to(pos.dtype)
    mean = (value.index_select(0, edge_index[0]) + value.index_select(0, edge_index[1])) / 2
    offset = edge_offsets(pos, edge_index)
    length = offset.norm(dim=1, keepdim=True)
    e = offset / length.clamp_min(torch.finfo(pos.dtype).tiny)  # [E, D]
    if value.dim() == 2:
        along = (mean * e).sum(1, keepdim=True)
        parts = torch.cat([along, (mean - along * e).norm(dim=1, keepdim=True)], 1)
        rounding = ROUNDING * torch.finfo(pos.dtype).eps * mean.detach().norm(dim=1, keepdim=True)
        return parts.masked_fill(parts.detach().abs() <= rounding, 0.0)
    size = torch.einsum("ei,eij,ej->e", e, mean, e)
    size = torch.where(length[:, 0] > 0, size, mean.diagonal(dim1=1, dim2=2).mean(1))
    if not (size > 0).all():
        source, target = edge_index[:, int((~(size > 0)).nonzero()[0])].tolist()
        raise ValueError(f"a tensor on edges must be positive; e^T A e <= 0 on the edge from node {source} to {target}")
    return torch.stack([size, 1 / size], 1)
