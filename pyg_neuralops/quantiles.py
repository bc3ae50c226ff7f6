"""``Quantiles``: positions on a scale on which nodes are evenly spread, as an encoder may see them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from .normalizer import Normalizer

INTERVALS = 32
EVEN = 1e-4


class Quantiles(Normalizer):
    r"""Each axis by its own piecewise linear map, which takes the quantiles of the nodes to those of a uniform variable
    of mean 0 and standard deviation 1, and goes on straight outside.

    A mesh is fine where something happens: around a body in a wide domain, whose coordinates would all be nearly the
    same number in units of the domain. The knots are the means over samples of each sample's quantiles, so that a
    stream is read once, with a share of 1e-4 of even spacing, so that the map can be inverted where nodes share a
    coordinate.

    Args:
        knots: ``[K + 1, C]``, rising; where they are all equal an axis is only shifted.

    Raises:
        ValueError: for knots that fall or are not finite.
    """

    knots: Tensor

    def __init__(self, knots: Tensor):
        if knots.dim() != 2 or len(knots) < 2 or not knots.is_floating_point():
            raise ValueError(f"knots have shape {list(knots.shape)} of {knots.dtype}; expected real [K + 1, C], K >= 1")
        super().__init__(knots.new_zeros(knots.shape[1]), knots.new_ones(knots.shape[1]))
        steps = knots.diff(dim=0)
        if not torch.where(steps.amax(0) > 0, steps > 0, steps == 0).all():
            raise ValueError("the knots of positions do not rise")
        self.register_buffer("knots", knots)

    @classmethod
    def of_positions(cls, positions: Iterable[Tensor]) -> Quantiles:
        """Fit to a stream of ``[N, D]`` blocks, one a sample.

        Raises:
            ValueError: for an empty stream, or positions that are not finite.
        """
        total, count, dtype = torch.zeros(0), 0, torch.float32
        share = torch.linspace(0, 1, INTERVALS + 1, dtype=torch.float64)
        low = high = torch.zeros(0)
        for block in positions:
            pos = block.detach().to("cpu", torch.float64)
            found = torch.quantile(pos, share, dim=0)  # [K + 1, D]
            total, low, high = (
                (found, found[0], found[-1])
                if count == 0
                else (total + found, low.minimum(found[0]), high.maximum(found[-1]))
            )
            count, dtype = count + 1, torch.promote_types(dtype, block.dtype)
        if count == 0:
            raise ValueError("there is no position to fit quantiles to")
        even = low + share[:, None] * (high - low)
        return cls(((1 - EVEN) * total / count + EVEN * even).to(dtype))

    def encode(self, v: Tensor) -> Tensor:
        """``[N, D] -> [N, D]``, in the normaliser's own precision."""
        knots = self.knots.T.contiguous()  # [D, K + 1]
        x = v.to(knots.dtype).T.contiguous()
        index = torch.searchsorted(knots[:, 1:-1].contiguous(), x.detach(), right=True)  # 0 ... K - 1
        left, right = knots.gather(1, index), knots.gather(1, index + 1)
        width = right - left
        within = (x - left) / width.masked_fill(width == 0, 1.0)
        count = knots.shape[1] - 1
        scaled = ((index + within) / count - 0.5) * math.sqrt(12)
        return torch.where(width == 0, x - left, scaled).T

    def decode(self, v: Tensor) -> Tensor:
        """The inverse of :meth:`encode`."""
        knots = self.knots.T.contiguous()
        count = knots.shape[1] - 1
        place = (v.to(knots.dtype).T / math.sqrt(12) + 0.5) * count
        index = place.detach().floor().clamp(0, count - 1).long()
        left, right = knots.gather(1, index), knots.gather(1, index + 1)
        inside = left + (place - index) * (right - left)
        return torch.where(right == left, v.T + left, inside).T
