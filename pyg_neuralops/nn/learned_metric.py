"""``LearnedMetric``, a symmetric tensor for each node and head: in which direction a soft mask is narrow."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.symmetric import full, gram, triangle_size
from .initial import Layer


class LearnedMetric(Layer):
    r"""A metric made of a node's features,

    .. math::
        A_h(x_i) = L_h(x_i) L_h(x_i)^\top, \qquad L_h(x) \text{ lower triangular, linear in } x,

    symmetric and not negative. It starts as the same multiple of the identity everywhere, without drawing numbers: a
    model with a metric starts as the one without.

    Args:
        channels: C. pos_dim: D. heads: H.
        start: A starts as ``start`` times the identity.

    Shapes:
        ``x [N, C] -> [N, H, D (D + 1) / 2]``, the lower triangles of A, row by row, in float32 at least where the
        weights are.
    """

    def __init__(self, channels: int, *, pos_dim: int = 2, heads: int = 8, start: float = 0.1):
        super().__init__()
        if pos_dim < 1 or start <= 0:
            raise ValueError(f"pos_dim={pos_dim} and start={start} must be positive")
        self.channels, self.pos_dim, self.heads, self.start = channels, pos_dim, heads, start
        size = heads * triangle_size(pos_dim)
        self.weight = nn.Parameter(torch.empty(size, channels))
        self.bias = nn.Parameter(torch.empty(size))
        self.reset_own()

    def reset_own(self) -> None:
        nn.init.zeros_(self.weight)
        factor = torch.eye(self.pos_dim) * math.sqrt(self.start)
        rows, columns = torch.tril_indices(self.pos_dim, self.pos_dim)
        with torch.no_grad():
            self.bias.copy_(factor[rows, columns].repeat(self.heads))

    def forward(self, x: Tensor) -> Tensor:
        # Squares and differences of distances come of it, so autocast must not round it.
        with torch.autocast(x.device.type, enabled=False):
            factor = F.linear(x.to(self.weight.dtype), self.weight, self.bias)
            return gram(factor.unflatten(1, (self.heads, -1)), self.pos_dim)

    def tensors(self, x: Tensor) -> Tensor:
        """The same as matrices. ``[N, C] -> [N, H, D, D]``"""
        return full(self(x), self.pos_dim)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.channels}, pos_dim={self.pos_dim}, heads={self.heads})"
