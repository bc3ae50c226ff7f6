"""Exact attention over incoming edges as a few calls of dense attention on tiles."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..symmetric import check_metric
from .chunked import ChunkedAttention
from .edge_tiles import EdgeTiles
from .geometry import Geometry, num_columns, padded_width
from .rows import attend_bucket


def tiled_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    tiles: EdgeTiles,
    *,
    pos: Tensor | None = None,
    strength: Tensor | float | None = None,
    reach: Tensor | None = None,
    direction: Tensor | None = None,
    period: Tensor | None = None,
    max_mib: float | None = None,
    compute_dtype: torch.dtype | None = None,
    metric: Tensor | None = None,
) -> Tensor:
    r"""The function of :func:`~pyg_neuralops.ops.edge_attention`, without a term per edge.

    Args:
        q, k: ``[N, H, d]`` queries and keys. v: ``[N, H, c]`` values. With c > d (by their number) the geometric
            terms below take their columns out of the head's own width.
        tiles: :class:`~pyg_neuralops.ops.EdgeTiles` of the graph; they carry the nodes' weights where there are any
            (:meth:`~pyg_neuralops.ops.EdgeTiles.with_bias`).
        pos: ``[N, D]`` positions; needed by the geometric terms.
        strength: g of the soft mask, ``[H]`` or a scalar; None leaves it out.
        reach: l, ``[N]``, positive; by default the longest incoming edge, ``tiles.reach``, a constant: where ``pos``
            requires a gradient it must be given (:func:`~pyg_neuralops.ops.incoming_reach`). The accuracy is that
            of the edge-wise form for a reach that is not much below that.
        direction: w of the directional term, ``[N, H, D]``; None leaves it out.
        period: ``[D]`` side lengths of a periodic box, 0 on axes without period; the tiles must know it too.
        max_mib: bound on the memory of intermediate tensors, in MiB, by going through the tiles in pieces
            and computing each again in the backward pass; a piece holds one tile at least.
        compute_dtype: format of the products. By default float32 for half formats on a CPU (faster there
            than the native ones, and more accurate), and for float16 with geometric terms (its range is
            too small for them); else the format of ``q``, or of autocast.
        metric: A of a soft mask with a direction, in place of ``strength``: ``[N, H, D (D + 1) / 2]``, the lower
            triangles of symmetric matrices, row by row.

    Shapes:
        returns ``[N, H, c]``; zeros for a node without incoming edges. Differentiable once.
    """
    is_geometric = any(x is not None for x in (strength, direction, metric))
    check_metric(metric, strength, q, pos)
    _check(q, k, v, tiles, pos, reach, is_geometric, max_mib)
    device = q.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else q.dtype
    if compute_dtype is None:
        is_half = dtype in (torch.bfloat16, torch.float16)
        lacks_range = dtype == torch.float16 and is_geometric
        compute_dtype = torch.float32 if lacks_range or (is_half and device == "cpu") else dtype
    with torch.autocast(device, enabled=False):  # it would round the geometric columns
        q, k, v = (x.to(compute_dtype) for x in (q, k, v))
        if not tiles.buckets:  # zeros, with gradients of zero
            used = [x for x in (q, k, strength, direction, metric) if isinstance(x, Tensor)]
            return (v * 0 + sum((x * 0).sum() for x in used)).to(dtype)
        wide = torch.promote_types(compute_dtype, torch.float32)
        if strength is not None:
            strength = torch.as_tensor(strength, device=q.device).to(wide)
        if direction is not None:
            direction = direction.to(wide)
        if metric is not None:
            metric = metric.to(wide)
        columns, geometry = 0, None
        if pos is not None and is_geometric:
            columns = num_columns(pos.shape[1], strength is not None, metric is not None)
        width, has_room = padded_width(q.shape[-1], v.shape[-1], columns, compute_dtype)
        if pos is not None and is_geometric:
            geometry = Geometry(
                pos=pos,
                reach=tiles.reach if reach is None else reach,
                period=period,
                has_distance=strength is not None,
                has_metric=metric is not None,
                has_constant=has_room,
                dtype=compute_dtype,
                factor=q.shape[-1] ** 0.5,  # undoes the scale of the attention
            )
        if max_mib is None:
            out = _all_at_once(q, k, v, strength, direction, metric, tiles, geometry, width)
        else:
            places = (None, None) if geometry is None else (geometry.pos, geometry.reach)
            terms = strength, direction, metric
            out = ChunkedAttention.apply(q, k, v, *terms, *places, tiles, geometry, width, max_mib)
        return out.to(dtype)


def _all_at_once(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    strength: Tensor | None,
    direction: Tensor | None,
    metric: Tensor | None,
    tiles: EdgeTiles,
    geometry: Geometry | None,
    width: int,
) -> Tensor:
    """``[N, H, c]``, with the memory of a few node features."""
    heads, d, channels = q.shape[1], q.shape[2], v.shape[2]
    columns: list[Tensor | None] = [None] * len(tiles.buckets)
    if geometry is not None:
        # A node is a query of one tile only, so its columns are made before rows are taken.
        centre, scale = torch.zeros_like(geometry.pos), torch.zeros_like(geometry.pos[:, :1])
        for number, bucket in enumerate(tiles.buckets):
            at_query, at_key, reach = geometry.rows(bucket)
            c, s = geometry.frame(at_query, reach)
            columns[number] = geometry.of_keys(at_key, c, s)
            for x, of_tile in ((centre, c), (scale, s)):
                x.index_copy_(0, bucket.query.flatten(), of_tile.expand_as(at_query[..., : x.shape[1]]).flatten(0, 1))
        x, ratio = geometry.local(geometry.pos, geometry.reach[:, None], centre, scale)
        extra = geometry.of_queries(x, ratio, strength, direction, metric)
        q = torch.cat((q, extra.expand(-1, heads, -1)), -1)
    q, k, v = (F.pad(x, (0, width - x.shape[-1])) if x.shape[-1] < width else x for x in (q, k, v))
    outs = []
    for bucket, added in zip(tiles.buckets, columns, strict=True):
        out, (q, k, v) = attend_bucket(q, k, v, bucket, added, d)
        outs.append(out.flatten(0, 1))  # [n T, H, width]
    if len(tiles.isolated):
        outs.append(q.new_zeros(1, heads, width))
    rows = torch.cat(outs) if len(outs) > 1 else outs[0]
    return rows.index_select(0, tiles.back)[..., :channels]


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    tiles: EdgeTiles,
    pos: Tensor | None,
    reach: Tensor | None,
    is_geometric: bool,
    max_mib: float | None,
) -> None:
    if q.dim() != 3 or q.shape != k.shape or q.shape[:2] != v.shape[:2]:
        shapes = ", ".join(str(list(x.shape)) for x in (q, k, v))
        raise ValueError(f"q, k, v have shapes {shapes}, but [N, H, d], [N, H, d], [N, H, c] are needed")
    if tiles.num_nodes != len(q):
        raise ValueError(f"tiles were made for {tiles.num_nodes} nodes, but q has {len(q)}")
    if pos is None and is_geometric:
        raise ValueError("pos=None, but strength and direction are functions of the positions")
    if reach is None and pos is not None and pos.requires_grad and is_geometric:
        raise ValueError("pos requires a gradient, reach=None is none: give reach=incoming_reach(pos, edge_index)")
    if max_mib is not None and max_mib <= 0:
        raise ValueError(f"max_mib={max_mib} must be positive, or None")
