"""Tiled attention in a bounded amount of memory: pieces of tiles, computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .bucket import TileBucket
from .edge_tiles import EdgeTiles
from .geometry import Geometry
from .rows import add_rows, attend, take_rows


class ChunkedAttention(torch.autograd.Function):
    """Attention over tiles that keeps its inputs only.

    Beside inputs, output and gradients (``[N, H, d]`` each) it needs the memory of one piece of tiles.
    """

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        strength: Tensor | None,
        direction: Tensor | None,
        metric: Tensor | None,
        pos: Tensor | None,
        reach: Tensor | None,
        tiles: EdgeTiles,
        geometry: Geometry | None,
        width: int,
        max_mib: float,
    ) -> Tensor:
        # Positions and reach are those of the geometry, given once more for the sake of their gradients.
        ctx.save_for_backward(q, k, v, strength, direction, metric)
        ctx.tiles, ctx.geometry, ctx.width, ctx.max_mib = tiles, geometry, width, max_mib
        out = _zeros(v)
        for piece in _pieces(tiles, q, width, max_mib):
            taken = _rows(q, k, v, direction, metric, piece)
            rows = _attend(*taken, strength, _places(geometry, piece), piece, geometry, width)
            out.index_copy_(0, piece.query.flatten(), rows[..., : v.shape[-1]].flatten(0, 1))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, strength, direction, metric = ctx.saved_tensors
        geometry = ctx.geometry
        moving = geometry is not None and any(ctx.needs_input_grad[6:8])
        total = [None if x is None else _zeros(x) for x in (q, k, v, direction, metric)]
        total_strength = None if strength is None else _zeros(strength)
        at = (_zeros(geometry.pos), _zeros(geometry.reach)[:, None]) if moving else (None, None)
        for piece in _pieces(ctx.tiles, q, ctx.width, ctx.max_mib):
            rows, places = _rows(q, k, v, direction, metric, piece), _places(geometry, piece)
            leaf = None if strength is None else strength.detach().requires_grad_()
            with torch.enable_grad():
                leaves = [x.requires_grad_() for x in (*rows, *(places if moving else ())) if x is not None]
                out = _attend(*rows, leaf, places, piece, geometry, ctx.width)[..., : v.shape[-1]]
            # A padded query repeats the last one of its tile, which must count once.
            repeated = piece.query.diff(prepend=piece.query[:, :1] - 1) == 0
            at_out = take_rows(gradient, piece.query).masked_fill_(repeated[..., None, None], 0)
            found = iter(torch.autograd.grad(out, leaves if leaf is None else [*leaves, leaf], at_out))
            of_rows = (piece.query, piece.key, piece.key, piece.query, piece.query)
            indices = (*of_rows, piece.query, piece.key, piece.query)
            for x, index in zip((*total, at[0], at[0], at[1]), indices, strict=True):
                if x is not None:
                    add_rows(x, index, next(found))
            if total_strength is not None:
                total_strength += next(found)
        to_reach = at[1][:, 0] if at[1] is not None else None
        return (*total[:3], total_strength, *total[3:], at[0], to_reach, None, None, None, None)


def _zeros(x: Tensor) -> Tensor:
    return torch.zeros_like(x, memory_format=torch.contiguous_format)


def _rows(
    q: Tensor, k: Tensor, v: Tensor, direction: Tensor | None, metric: Tensor | None, piece: TileBucket
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Rows of a piece: queries, keys, values, directions, metrics."""
    w, a = (None if x is None else take_rows(x, piece.query) for x in (direction, metric))
    return take_rows(q, piece.query), take_rows(k, piece.key), take_rows(v, piece.key), w, a


def _places(geometry: Geometry | None, piece: TileBucket) -> tuple[Tensor, ...]:
    """Positions of queries and keys, and the reach of queries, of a piece."""
    return () if geometry is None else tuple(x.detach() for x in geometry.rows(piece))


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    direction: Tensor | None,
    metric: Tensor | None,
    strength: Tensor | None,
    places: tuple[Tensor, ...],
    piece: TileBucket,
    geometry: Geometry | None,
    width: int,
) -> Tensor:
    """``[n, T, H, width]`` attention of a piece, from its rows."""
    d = q.shape[-1]
    if geometry is not None:
        at_query, at_key, reach = places
        frame = geometry.frame(at_query, reach)
        columns = geometry.of_keys(at_key, *frame)
        extra = geometry.of_queries(*geometry.local(at_query, reach, *frame), strength, direction, metric)
        q = torch.cat((q, extra.expand(-1, -1, q.shape[2], -1)), -1)
        k = torch.cat((k, columns[:, :, None].expand(-1, -1, k.shape[2], -1)), -1)
    q, k, v = (F.pad(x, (0, width - x.shape[-1])) if x.shape[-1] < width else x for x in (q, k, v))
    return attend(q, k, v, piece.unpack(q.dtype), d**-0.5)


def _pieces(tiles: EdgeTiles, q: Tensor, width: int, max_mib: float) -> Iterator[TileBucket]:
    """Buckets cut so that a piece's tensors, with their gradients, fit in ``max_mib``."""
    for bucket in tiles.buckets:
        n, t, eighth = bucket.bits.shape
        u = 8 * eighth
        # Rows of q, k, v, the result, and as much again for padding and for gradients; mask and its index.
        row_bytes = 3 * q.element_size() * q.shape[1] * width * (2 * t + 2 * u)
        pair_bytes = t * u * (q.element_size() + 1)
        step = max(1, int(max_mib * 2**20) // (row_bytes + pair_bytes))
        for start in range(0, n, step):
            yield bucket.narrow(start, min(step, n - start))
