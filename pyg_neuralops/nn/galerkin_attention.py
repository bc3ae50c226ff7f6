"""``GalerkinAttention``: attention without a softmax, as a Petrov-Galerkin projection."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data import Mesh
from .heads import check_heads
from .initial import Layer


class GalerkinAttention(Layer):
    r"""Galerkin-type attention (Cao 2021, arXiv 2105.14995, eq. 8).

    .. math:: y = W_o \, Q \, (\tilde K^\top \tilde V) / n

    per head, with a LayerNorm per head on K and V, and the coordinates appended to q, k and v of every head. The
    projections start near a small multiple of the identity (Xavier gain 1e-2 plus 1e-2 I). What the Transolver family's
    tables call Galerkin is the softmax-feature form, q (k^T v) / n with q and k softmaxed over features, not this.

    Args:
        channels: C. pos_dim: D. heads: H, a divisor of C. W_o is always there: it also takes the
            coordinates' columns, H (d + D) -> C.

    Shapes: ``x [N, C], mesh -> [N, C]``; n is the number of nodes of the node's own sample. With ``mesh.weight`` w,
    whose sum is n, the sum over its nodes is that of w k^T v.

    Raises:
        ValueError: if heads does not divide channels.
    """

    def __init__(self, channels: int, *, pos_dim: int = 2, heads: int = 8):
        super().__init__()
        self.heads, self.width = heads, check_heads(channels, heads)
        self.q, self.k, self.v = (nn.Linear(channels, channels) for _ in range(3))
        self.norm_k, self.norm_v = (HeadNorm(heads, width=self.width) for _ in range(2))
        self.out = nn.Linear(heads * (self.width + pos_dim), channels)
        self.reset_own()

    def reset_own(self) -> None:
        for linear in (self.q, self.k, self.v):
            nn.init.xavier_uniform_(linear.weight, gain=1e-2)
            with torch.no_grad():
                linear.weight.diagonal().add_(1e-2)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        coords = mesh.coords.to(x.dtype)[:, None].expand(-1, self.heads, -1)  # [N, H, D]
        q, k, v = (linear(x).view(-1, self.heads, self.width) for linear in (self.q, self.k, self.v))
        parts = (q, self.norm_k(k), self.norm_v(v))
        q, k, v = (mesh.dense(torch.cat([coords, p], -1)).transpose(1, 2) for p in parts)  # [B, H, L, d + D]
        if mesh.weight is not None:
            k = k * mesh.dense(mesh.weight.to(k.dtype))[:, None, :, None]
        # Padded rows are zero after `dense`, so they add nothing to the sum over nodes.
        context = k.transpose(2, 3) @ v / mesh.sizes.view(-1, 1, 1, 1)  # [B, H, d + D, d + D]
        return self.out(mesh.flat((q @ context).transpose(1, 2).flatten(2)))

    def extra_repr(self) -> str:
        return f"heads={self.heads}"


class HeadNorm(Layer):
    """LayerNorm over each head's features, with a scale and shift per head. ``[N, H, d] -> [N, H, d]``"""

    def __init__(self, heads: int, *, width: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(heads, width))
        self.bias = nn.Parameter(torch.empty(heads, width))
        self.reset_own()

    def reset_own(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, x.shape[-1:], eps=self.eps) * self.weight + self.bias
