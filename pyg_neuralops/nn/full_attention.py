"""``FullAttention``: softmax attention of every node over all nodes of its sample."""

from __future__ import annotations

from torch import Tensor, nn

from ..data import Mesh
from .heads import check_heads
from .initial import Layer
from .ragged import among, attend, split_heads
from .rms_norm import RMSNorm


class FullAttention(Layer):
    r"""Multi-head softmax attention (Vaswani et al. 2017, arXiv 1706.03762, eq. 1), O(N²).

    .. math:: y = W_o \, \mathrm{softmax}(Q K^\top / \sqrt d) \, V

    per head, over the nodes of one sample.

    Args:
        channels: C. heads: H, a divisor of C.
        bias: whether Q, K and V have a bias.
        qk_norm: whether Q and K go through an RMSNorm over the head's features first.

    Shapes: ``x [N, C], mesh -> [N, C]``; :meth:`dense` is the same on ``[B, M, C]``, every row a token.

    Raises:
        ValueError: if heads does not divide channels.
    """

    def __init__(self, channels: int, *, heads: int = 8, bias: bool = True, qk_norm: bool = False):
        super().__init__()
        self.heads, width = heads, check_heads(channels, heads)
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.norm_q, self.norm_k = (RMSNorm(width) if qk_norm else nn.Identity() for _ in range(2))
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        return self.out(among(*self._heads(x), mesh).flatten(1))

    def dense(self, x: Tensor) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in self._heads(x))  # [B, H, M, d]
        return self.out(attend(q, k, v).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, -1))  # [..., H, d]
        return self.norm_q(q), self.norm_k(k), v

    def extra_repr(self) -> str:
        return f"heads={self.heads}"
