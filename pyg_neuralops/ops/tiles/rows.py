"""Node rows taken for tiles, with gradients that add up in one buffer; attention on such rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .bucket import TileBucket


def take_rows(x: Tensor, index: Tensor, columns: Tensor | None = None, at: int = 0) -> Tensor:
    """Rows of ``x [N, H, w]`` for ``index [n, R]``, as ``[n, R, H, w]``.

    ``columns [n, R, c]``, the same for all heads, are written over the entries from ``at`` on.
    """
    rows = x.reshape(len(x), -1).index_select(0, index.flatten()).view(*index.shape, *x.shape[1:])
    if columns is not None:
        rows[..., at : at + columns.shape[-1]] = columns[:, :, None]
    return rows


class TakeRows(torch.autograd.Function):
    """:func:`take_rows`, and ``x`` again for the next bucket.

    Buckets form a chain: in the backward pass each adds its rows to the buffer handed over by the next one
    and lets go of them. Independent index_selects would make and add one such buffer for each bucket.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, columns: Tensor | None, at: int) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.index, ctx.shape, ctx.at, ctx.added = index, x.shape, at, 0 if columns is None else columns.shape[-1]
        return take_rows(x, index, columns, at), x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, Tensor | None, None]:
        (rows, total), columns = gradients, None
        if rows is not None:
            if ctx.needs_input_grad[2]:
                columns = rows[..., ctx.at : ctx.at + ctx.added].sum(2)
            if total is None:
                total = rows.new_zeros(ctx.shape)
            add_rows(total, ctx.index, rows)
        return total, None, columns, None


def add_rows(x: Tensor, index: Tensor, rows: Tensor) -> None:
    """Add ``rows [n, R, H, w]`` to the rows ``index [n, R]`` of ``x [N, H, w]``, the adjoint of taking them."""
    x.view(len(x), -1).index_add_(0, index.flatten(), rows.reshape(index.numel(), -1))


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Softmax attention of queries ``[n, T, H, w]`` over keys ``[n, U, H, w]``; ``bias [n, 1, T, U]``."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # [n, H, rows, w]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
    return out.transpose(1, 2)  # [n, T, H, w]


def attend_bucket(
    q: Tensor, k: Tensor, v: Tensor, bucket: TileBucket, columns: Tensor | None, at: int
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Attention ``[n, T, H, w]`` of a bucket on node features ``[N, H, w]``, and these for the next bucket.

    ``at`` is the width of the heads before ``columns [n, U, c]`` are written into the keys. Rows of keys and
    values take several times the memory of the features, but little time to copy: the backward pass takes
    them again instead of keeping them, and so it does with the mask.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():  # a compiler decides on its own what to keep
        rows = (take_rows(q, bucket.query), take_rows(k, bucket.key, columns, at), take_rows(v, bucket.key))
        return attend(*rows, bucket.unpack(q.dtype), at**-0.5), (q, k, v)
    q_rows, q_next = TakeRows.apply(q, bucket.query, None, 0)
    k_rows, k_next = TakeRows.apply(k, bucket.key, columns, at)
    v_rows, v_next = TakeRows.apply(v, bucket.key, None, 0)
    bias, dtype = bucket.unpack(q.dtype), q.dtype
    k, v, columns = k.detach(), v.detach(), None if columns is None else columns.detach()
    again = _Again(k, v)
    again.can_make(k_rows.transpose(1, 2), lambda: take_rows(k, bucket.key, columns, at).transpose(1, 2))
    again.can_make(v_rows.transpose(1, 2), lambda: take_rows(v, bucket.key).transpose(1, 2))
    if bias is not bucket.bias:
        again.can_make(bias, lambda: bucket.unpack(dtype))
    with torch.autograd.graph.saved_tensors_hooks(again.pack, again.unpack):
        return attend(q_rows, k_rows, v_rows, bias, at**-0.5), (q_next, k_next, v_next)


class _Again:
    """Hooks that store how a tensor is made, from sources that must not change, in place of the tensor."""

    def __init__(self, *sources: Tensor) -> None:
        self.makers: dict[tuple[Any, ...], Callable[[], Tensor]] = {}
        self.sources = [(x, x._version) for x in sources]

    @staticmethod
    def _key(x: Tensor) -> tuple[Any, ...]:
        return x.data_ptr(), x.shape, x.stride()

    def can_make(self, x: Tensor, make: Callable[[], Tensor]) -> None:
        self.makers[self._key(x)] = make

    def pack(self, x: Tensor) -> Tensor | Callable[[], Tensor]:
        return self.makers.get(self._key(x), x.detach())

    def unpack(self, packed: Tensor | Callable[[], Tensor]) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        if any(x._version != version for x, version in self.sources):
            raise RuntimeError("k or v was modified in place before the backward pass of tiled_attention")
        return packed()
