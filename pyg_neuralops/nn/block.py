"""``Block``: the one block that every stack of mixers is made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..data import Mesh
from .initial import Layer
from .mlp import MLP, hidden_width


class Block(Layer):
    """``x + mixer(norm(x))`` across nodes, then ``x + mlp(norm(x))`` within a node (pre-LN).

    Args:
        channels: C.
        mixer: any module ``(x [N, C], mesh) -> [N, C]``.
        ratio: hidden width of the feed-forward over C.
        norm: the two norms, such as ``nn.LayerNorm`` or ``nn.RMSNorm``.
        mlp: the feed-forward ``[N, C] -> [N, C]``; two linear layers of the given ratio by default.
        stencil: a mixer that the feed-forward begins with, such as :class:`GridStencil`.

    Shapes: ``x [N, C], mesh -> [N, C]``.
    """

    def __init__(
        self,
        channels: int,
        mixer: nn.Module,
        *,
        ratio: float = 2,
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
        mlp: nn.Module | None = None,
        stencil: nn.Module | None = None,
    ):
        super().__init__()
        self.norm1, self.norm2 = norm(channels), norm(channels)
        self.mixer = mixer
        self.mlp = MLP(channels, hidden_width(channels, ratio), channels) if mlp is None else mlp
        self.stencil = stencil
        # How it is computed, not what: see :func:`limit_memory`.
        self.max_mib: float | None = None
        self.checkpoint = False

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        if self.checkpoint and torch.is_grad_enabled():
            return checkpoint(self._step, x, mesh, use_reentrant=False)
        return self._step(x, mesh)

    def _step(self, x: Tensor, mesh: Mesh) -> Tensor:
        x = x + self.mixer(self.norm1(x), mesh)
        return x + self._feed_forward(x, mesh)

    def _feed_forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        if self.stencil is not None:
            return self.mlp(self.stencil(self.norm2(x), mesh))
        if self.max_mib is None or torch.is_grad_enabled():
            return self.mlp(self.norm2(x))
        widest = max(parameter.shape[0] for parameter in self.mlp.parameters())
        rows = max(1, int(self.max_mib * 2**20 / (3 * widest * x.element_size())))
        return torch.cat([self.mlp(self.norm2(part)) for part in x.split(rows)])
