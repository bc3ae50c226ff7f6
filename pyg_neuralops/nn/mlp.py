"""``MLP``: linear layers with an activation between them."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Sequential):
    """``Linear (-> act -> Linear)*`` through the given widths, ``[..., widths[0]] -> [..., widths[-1]]``."""

    def __init__(self, *widths: int, act: type[nn.Module] = nn.GELU):
        layers: list[nn.Module] = []
        for in_channels, out_channels in pairwise(widths):
            layers += [nn.Linear(in_channels, out_channels), act()]
        super().__init__(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)
