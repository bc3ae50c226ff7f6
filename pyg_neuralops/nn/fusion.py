"""``Fusion``: several mixers side by side, one output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..data import Mesh
from .initial import Layer

MODES = ("concat", "gate", "scalar")


class Fusion(Layer):
    """Mixers in parallel on the same input, fused at every node.

    - "concat": ``W_o [m_1(x); ...; m_n(x)]``, n C -> C (after LA2Former, arXiv 2504.13480);
    - "gate": ``W_o (g m_1(x) + (1 - g) m_2(x))`` with ``g = sigmoid(W [m_1(x); m_2(x)])`` per channel, two
      mixers only;
    - "scalar": ``W_o (a_1 m_1(x) + ... + a_n m_n(x))`` with one learned number for each mixer, 1 / n at first.

    The balance of the last forward is kept in ``mean_gate`` (no gradient): the mean gate, or the first number's part of
    all, |a_1| / (|a_1| + ... + |a_n|).

    Args:
        channels: C.
        mixers: modules ``(x [N, C], mesh) -> [N, C]``.
        mode: "concat", "gate" or "scalar".

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
            raise ValueError(f"{len(mixers)} mixers with mode={mode!r}; 'gate' takes 2, the others 1 or more")
        self.mode = mode
        self.mixers = nn.ModuleList(mixers)
        self.out = nn.Linear(len(mixers) * channels if mode == "concat" else channels, channels)
        if mode == "gate":
            self.gate = nn.Linear(2 * channels, channels)
        if mode == "scalar":
            self.balance = nn.Parameter(torch.empty(len(mixers)))
        if mode != "concat":
            self.register_buffer("mean_gate", torch.empty(()), persistent=False)
        self.reset_own()

    def reset_own(self) -> None:
        if self.mode == "scalar":
            nn.init.constant_(self.balance, 1 / len(self.mixers))
        if self.mode != "concat":
            self.mean_gate.fill_(1 / len(self.mixers))

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        parts = [mixer(x, mesh) for mixer in self.mixers]  # each [N, C]
        if self.mode == "scalar":
            size = self.balance.detach().abs()
            self.mean_gate.copy_(size[0] / size.sum())
            return self.out(sum(scale * part for scale, part in zip(self.balance, parts, strict=True)))
        both = torch.cat(parts, 1)  # [N, n C]
        if self.mode == "concat":
            return self.out(both)
        gate = self.gate(both).sigmoid()
        self.mean_gate.copy_(gate.detach().mean())
        return self.out(torch.lerp(parts[1], parts[0], gate))
