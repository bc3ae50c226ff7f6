"""``Block``: the one block that every stack of mixers is made of."""

from __future__ import annotations

from torch import Tensor, nn

from ..data import Mesh
from .mlp import MLP


class Block(nn.Module):
    """``x + mixer(norm(x))`` across nodes, then ``x + mlp(norm(x))`` within a node (pre-LN).

    Args:
        channels: C.
        mixer: any module ``(x [N, C], mesh) -> [N, C]``.
        ratio: hidden width of the feed-forward over C.

    Shapes: ``x [N, C], mesh -> [N, C]``.
    """

    def __init__(self, channels: int, mixer: nn.Module, ratio: float = 2):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.mixer = mixer
        self.mlp = MLP(channels, round(ratio * channels), channels)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        x = x + self.mixer(self.norm1(x), mesh)
        return x + self.mlp(self.norm2(x))
