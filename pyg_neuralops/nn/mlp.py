"""``MLP`` and ``ResidualMLP``: linear layers with activations between them."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from .initial import Layer


def hidden_width(channels: int, ratio: float) -> int:
    """Hidden width of a feed-forward, ``ratio`` times ``channels``; ValueError unless that is at least 1."""
    if not (math.isfinite(ratio) and round(ratio * channels) >= 1):
        raise ValueError(f"ratio={ratio}; times channels={channels} it must make a width of at least 1")
    return round(ratio * channels)


class MLP(Layer, nn.Sequential):
    """``Linear (-> act -> Linear)*`` through the given widths, ``[..., widths[0]] -> [..., widths[-1]]``."""

    def __init__(self, *widths: int, act: type[nn.Module] = nn.GELU):
        layers: list[nn.Module] = []
        for in_channels, out_channels in pairwise(widths):
            layers += [nn.Linear(in_channels, out_channels), act()]
        super().__init__(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class ResidualMLP(Layer):
    """``Linear -> act``, then ``x + act(Linear(x))`` num_layers times, then ``Linear``.

    Args:
        in_channels, out_channels, hidden_channels: widths.
        num_layers: hidden layers between the first and the last.
        ends: whether the first and the last layer add to their input too, where widths allow it.

    Shapes: ``[..., in_channels] -> [..., out_channels]``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, hidden_channels: int, num_layers: int, ends: bool = False
    ):
        super().__init__()
        self.first = nn.Linear(in_channels, hidden_channels)
        self.hidden = nn.ModuleList(nn.Linear(hidden_channels, hidden_channels) for _ in range(num_layers))
        self.last = nn.Linear(hidden_channels, out_channels)
        self.act = nn.GELU()
        self.add_first = ends and in_channels == hidden_channels
        self.add_last = ends and hidden_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.act(self.first(x)) if self.add_first else self.act(self.first(x))
        for linear in self.hidden:
            x = x + self.act(linear(x))
        return x + self.last(x) if self.add_last else self.last(x)
