"""Distance, metric and direction terms of attention as extra columns of queries and keys."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..edges import nearest_image, smallest_reach
from ..symmetric import products, times, triangle_size
from .bucket import TileBucket

FAR = 4096.0
"""A node whose reach is this much below the size of its tile has neighbours only where it is itself, as has one of the
smallest reach: it sees no geometry, and must not set the scale."""


@dataclass(frozen=True)
class Geometry:
    r"""Columns whose product is the geometric part of the score.

    With coordinates x = (p - c) / s, c the tile's centre, s a length of the size of its smallest reach, and
    r = s / l_i:

    .. math::
        -g \frac{|p_j - p_i|^2}{l_i^2} + w \cdot \frac{p_j - p_i}{l_i}
        = \bigl[2 g r^2 x_i + r w,\; -g r^2,\; -g r^2 |x_i|^2 - r w \cdot x_i\bigr]
          \cdot \bigl[x_j,\; |x_j|^2,\; 1\bigr].

    With a metric, :math:`-(p_j - p_i)^\top A (p_j - p_i) / l_i^2`, the first columns are
    :math:`2 r^2 A x_i + r w`, the second those of :math:`-r^2 A` against the products of the coordinates of
    :math:`x_j`, D (D + 1) / 2 of them, and the last is :math:`-r^2 x_i^\top A x_i - r w \cdot x_i`.

    The mask thus needs no gradient: g, A and w get theirs through the queries. Both factors stay of the size
    of the tile in units of its reach, which is what bounds the rounding error.

    The last column cancels in the softmax, but not in the gradients: those of g, A and w are sums over j of
    offsets p_j - p_i only as far as the computed gradients of a softmax's row add up to zero, which they
    do to rounding. With it they are sums of offsets in any case (measured: the gradient of g is 10 to 100
    times more accurate).

    In a narrow format (``dtype`` bfloat16 or float16) columns are split into a high and a low part,
    [high, high, low] against [high, low, high], which keeps about 16 bits of the products.

    In a periodic box p_j - c is the nearest image; tiles are small enough (see :func:`split_tiles`) for that
    to make p_j - p_i the nearest image as well.

    Shapes:
        ``pos [N, D]``, ``reach [N]``, ``period [D]`` or None; ``factor`` multiplies the score.
    """

    pos: Tensor
    reach: Tensor
    period: Tensor | None
    has_distance: bool
    has_metric: bool
    has_constant: bool
    dtype: torch.dtype
    factor: float

    def rows(self, bucket: TileBucket) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the queries ``[n, T, D]`` and keys ``[n, U, D]`` of tiles, and reach ``[n, T, 1]``."""
        at_query, at_key, reach = (
            x.index_select(0, index.flatten()).view(*index.shape, -1)
            for x, index in ((self.pos, bucket.query), (self.pos, bucket.key), (self.reach, bucket.query))
        )
        return at_query, at_key, reach

    @staticmethod
    def frame(at_query: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
        """Centre c ``[n, 1, D]`` and scale s ``[n, 1, 1]`` of tiles: constants, as no score depends on them."""
        at_query, reach = at_query.detach(), reach.detach()
        low, high = at_query.amin(1, keepdim=True), at_query.amax(1, keepdim=True)
        most = reach.amax(1, keepdim=True)
        least = torch.where(reach > smallest_reach(reach.dtype), reach, most).amin(1, keepdim=True)
        scale = least.maximum(most / FAR)
        scale = scale.maximum((high - low).amax(2, keepdim=True) / FAR)
        return (low + high) / 2, scale

    def of_keys(self, at_key: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
        """``[n, U, c]`` columns of keys."""
        y = at_key - centre
        y = (y if self.period is None else nearest_image(y, self.period)) / scale
        columns = [y]
        if self.has_distance:
            columns.append(y.square().sum(-1, keepdim=True))
        if self.has_metric:
            columns.append(products(y))
        if self.has_constant:
            columns.append(torch.ones_like(y[..., :1]))
        return self._narrowed(torch.cat(columns, -1), [(0, 1, 0), (0, 0)])

    @staticmethod
    def local(at_query: Tensor, reach: Tensor, centre: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """x ``[..., D]`` and r ``[..., 1]`` of queries; scale 0 stands for a node without a tile."""
        # Masked before the division, whose derivative overflows there.
        blind = (scale > reach * FAR) | (reach <= smallest_reach(reach.dtype))
        ratio = (scale / reach.masked_fill(blind, 1.0)).masked_fill(blind, 0.0)
        return (at_query - centre) / scale.masked_fill(scale == 0, 1.0), ratio

    def of_queries(
        self, x: Tensor, ratio: Tensor, strength: Tensor | None, direction: Tensor | None, metric: Tensor | None
    ) -> Tensor:
        """``[..., H or 1, c]`` columns of queries.

        Shapes:
            ``x [..., D]``, ``ratio [..., 1]``, ``strength`` scalar or ``[H]``, ``direction [..., H, D]``,
            ``metric [..., H, D (D + 1) / 2]``.
        """
        x, ratio = x[..., None, :], ratio[..., None, :]  # a dimension for the heads
        linear = torch.zeros_like(x) if direction is None else direction * ratio
        constant = -(linear * x).sum(-1, keepdim=True)
        columns = [linear]
        if strength is not None:
            g = strength.view(-1, 1) * ratio.square()  # [..., H, 1]
            columns = [linear + 2 * g * x, -g]
            constant = constant - g * x.square().sum(-1, keepdim=True)
        if metric is not None:
            a = metric * ratio.square()
            pull = times(a, x)  # [..., H, D]
            columns = [linear + 2 * pull, -a]
            constant = constant - (pull * x).sum(-1, keepdim=True)
        if self.has_constant:
            columns.append(constant)
        heads = max(column.shape[-2] for column in columns)
        wide = torch.cat([c.expand(*c.shape[:-2], heads, -1) for c in columns], -1) * self.factor
        return self._narrowed(wide, [(0, 0, 1), (0, 1)])

    def _narrowed(self, columns: Tensor, order: list[tuple[int, ...]]) -> Tensor:
        """In the format of the attention; ``order`` says which half of the columns, and of the last, goes where.

        The gradient goes through the high halves.
        """
        high = columns.to(self.dtype)
        if not is_narrow(self.dtype):
            return high
        halves = high, (columns.detach() - high.detach()).to(self.dtype)
        body, last = order
        return torch.cat([*(halves[i][..., :-1] for i in body), *(halves[i][..., -1:] for i in last)], -1)


def is_narrow(dtype: torch.dtype) -> bool:
    """Whether a format is too narrow for the geometric columns."""
    return dtype in (torch.bfloat16, torch.float16)


def num_columns(dim: int, has_distance: bool, has_metric: bool) -> int:
    """Columns of the geometry in ``dim`` dimensions, without that of ones."""
    return dim + (triangle_size(dim) if has_metric else has_distance)


def padded_width(d: int, channels: int, columns: int, dtype: torch.dtype) -> tuple[int, bool]:
    """One head width for queries, keys and values, and whether the column of ones fits beside ``columns`` others.

    The fused kernels want one width, and on a CPU take longer for 13 than for 16. A wider head would cost
    more than the column of ones is worth, so in the wider formats it is there when there is room for it.
    """
    if columns == 0:
        width = max(d, channels)
        return width if width % 4 == 0 and not is_narrow(dtype) else -(-width // 8) * 8, False
    if is_narrow(dtype):
        return -(-max(d + 3 * columns + 2, channels) // 8) * 8, True
    width = -(-max(d + columns, channels) // 8) * 8
    return width, d + columns < width
