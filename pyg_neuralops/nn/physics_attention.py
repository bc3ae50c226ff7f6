"""``PhysicsAttention``: attention between learned slices of the mesh."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import Mesh
from .grid import GridConv
from .heads import check_heads
from .initial import Layer
from .ragged import split_heads, to_dense, to_flat


class PhysicsAttention(Layer):
    r"""Physics-Attention of Transolver (Wu et al. 2024, arXiv 2402.02366, eq. 1 to 4), O(N G).

    .. math::
        w = \mathrm{softmax}_G(\mathrm{Linear}(u) / \tau_h), \quad
        s_g = \frac{\sum_i w_{ig} f_i}{\sum_i w_{ig} + 10^{-5}}, \quad
        s' = \mathrm{SDPA}(s W_q, s W_k, s W_v), \quad
        y_i = W_o \sum_g w_{ig} s'_g

    per head, with u and f two projections of x. The slice layer and W_q, W_k, W_v (no bias) are shared by the
    heads. On structured grids the projections are 3-wide convolutions and :math:`\tau` is clamped to [0.1, 5].
    The slice layer starts orthogonal, as the paper says; the released code then overwrites it.

    Args:
        channels: C. heads: H, a divisor of C. num_slices: G.
        structured: whether nodes form grids (``data.grid_shape``). pos_dim: axes of the grid.

    Shapes: ``x [N, C], mesh -> [N, C]``. Padding has weight 0 in every slice. With ``mesh.weight`` m the two sums that
    make s are those of m_i w_ig, with a small part of all weight in place of the small number.

    Raises:
        ValueError: if heads does not divide channels or num_slices < 1.
    """

    def __init__(
        self, channels: int, *, heads: int = 8, num_slices: int = 64, structured: bool = False, pos_dim: int = 2
    ):
        super().__init__()
        self.heads, width = heads, check_heads(channels, heads)
        if num_slices < 1:
            raise ValueError(f"num_slices={num_slices}; it must be at least 1")
        self.structured = structured
        self.points: nn.Module = (
            GridConv(channels, 2 * channels, dim=pos_dim) if structured else nn.Linear(channels, 2 * channels)
        )
        self.slices = nn.Linear(width, num_slices)
        self.temperature = nn.Parameter(torch.empty(heads, 1, 1))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(channels, channels)
        self.reset_own()

    def reset_own(self) -> None:
        nn.init.orthogonal_(self.slices.weight)
        nn.init.constant_(self.temperature, 0.5)

    def slice_weights(self, u: Tensor, mesh: Mesh) -> Tensor:
        """``u [B, H, L, d] -> w [B, H, L, G]``; rows of nodes sum to one, rows of padding to zero."""
        temperature = self.temperature.clamp(0.1, 5.0) if self.structured else self.temperature
        # Divided before the product, where rows have d columns, not G; the weights would be the largest tensors here.
        logits = (u / temperature) @ self.slices.weight.t() + self.slices.bias / temperature
        weight = logits.softmax(-1)
        return weight if mesh.filled is None else weight * mesh.filled[:, None, :, None]

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        both = self.points(x, mesh) if self.structured else self.points(x)
        # Contiguous: products of strided heads take twice as long.
        u, f = (
            to_dense(split_heads(part, self.heads), mesh).contiguous() for part in both.chunk(2, -1)
        )  # [B, H, L, d]
        weight = self.slice_weights(u, mesh)  # [B, H, L, G]
        measure = None if mesh.weight is None else mesh.dense(mesh.weight.to(f.dtype))[:, None, :, None]  # [B, 1, L, 1]
        token = weight.transpose(2, 3) @ (f if measure is None else f * measure)  # [B, H, G, d]
        total = weight.sum(2)[..., None] if measure is None else weight.transpose(2, 3) @ measure  # [B, H, G, 1]
        # With weights a part of them all, as splitting a node changes their number.
        token = token / (total + (1e-5 if measure is None else 1e-8 * total.sum(2, keepdim=True)))
        token = F.scaled_dot_product_attention(*self.qkv(token).chunk(3, -1))
        return self.out(to_flat(weight @ token, mesh).flatten(1))

    def extra_repr(self) -> str:
        return f"heads={self.heads}, num_slices={self.slices.out_features}, structured={self.structured}"
