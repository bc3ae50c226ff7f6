"""``Fusion``: several mixers side by side, one output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..data import Mesh
from .initial import Layer

MODES = ("concat", "gate")


class Fusion(Layer):
    """Mixers in parallel on the same input, fused at every node.

    - "concat": ``W_o [m_1(x); ...; m_n(x)]``, n C -> C (after LA2Former, arXiv 2504.13480);
    - "gate": ``W_o (g m_1(x) + (1 - g) m_2(x))`` with ``g = sigmoid(W [m_1(x); m_2(x)])`` per channel, two
      mixers only. The mean gate of the last forward is kept in ``mean_gate`` (no gradient).

    Args:
        channels: C.
        mixers: modules ``(x [N, C], mesh) -> [N, C]``.
        mode: "concat" or "gate".

    Shapes: ``x [N, C], mesh -> [N, C]``.

    Raises:
        ValueError: for an unknown mode, no mixer, or a gate over other than two.
    """

    mean_gate: Tensor

    def __init__(self, channels: int, mixers: Sequence[nn.Module], *, mode: str = "concat"):
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}; choose from {list(MODES)}")
        if not mixers or (mode == "gate" and len(mixers) != 2):
            raise ValueError(f"{len(mixers)} mixers with mode={mode!r}; 'concat' takes 1 or more, 'gate' takes 2")
        self.mode = mode
        self.mixers = nn.ModuleList(mixers)
        self.out = nn.Linear(len(mixers) * channels if mode == "concat" else channels, channels)
        if mode == "gate":
            self.gate = nn.Linear(2 * channels, channels)
            self.register_buffer("mean_gate", torch.empty(()), persistent=False)
        self.reset_own()

    def reset_own(self) -> None:
        if self.mode == "gate":
            self.mean_gate.fill_(0.5)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        parts = [mixer(x, mesh) for mixer in self.mixers]  # each [N, C]
        both = torch.cat(parts, 1)  # [N, n C]
        if self.mode == "concat":
            return self.out(both)
        gate = self.gate(both).sigmoid()
        self.mean_gate.copy_(gate.detach().mean())
        return self.out(torch.lerp(parts[1], parts[0], gate))
