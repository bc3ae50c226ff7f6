"""``EfficientAttention``: global attention in linear time, softmax on features and on nodes."""

from __future__ import annotations

from torch import Tensor, nn

from ..data import Mesh
from .heads import check_heads
from .initial import Layer
from .ragged import over_nodes


class EfficientAttention(Layer):
    r"""Efficient attention (Shen et al. 2021, arXiv 1812.01243, eq. 3).

    .. math:: y = W_o \, \rho_q(Q) \, (\rho_k(K)^\top V)

    per head, with :math:`\rho_q` a softmax over the head's features and :math:`\rho_k` a softmax over the nodes
    of the sample, which count by ``mesh.weight`` where it is there. O(N C d). Nodes of other samples and padding take
    no part.

    Args:
        channels: C. heads: H, a divisor of C. project: whether W_o is present.

    Shapes: ``x [N, C], mesh -> [N, C]``.

    Raises:
        ValueError: if heads does not divide channels.
    """

    def __init__(self, channels: int, *, heads: int = 8, project: bool = True):
        super().__init__()
        self.heads, self.width = heads, check_heads(channels, heads)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels) if project else nn.Identity()

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        qkv = mesh.dense(self.qkv(x))  # [B, L, 3 C]
        q, k, v = qkv.unflatten(-1, (3, self.heads, self.width)).permute(2, 0, 3, 1, 4)  # [B, H, L, d]
        context = over_nodes(k, mesh).softmax(2).transpose(2, 3) @ v  # [B, H, d, d]
        y = q.softmax(3) @ context  # [B, H, L, d]
        return self.out(mesh.flat(y.transpose(1, 2).flatten(2)))

    def extra_repr(self) -> str:
        return f"heads={self.heads}"
