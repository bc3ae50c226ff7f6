"""``TimeEmbedding``: a time as a vector of the model's width."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .initial import Layer
from .mlp import MLP

SLOWEST = 10_000


class TimeEmbedding(Layer):
    r"""Cosines and sines of a time through a two-layer SiLU MLP, as in diffusion models and Transolver's Plasticity.

    .. math:: e = W_2 \, \mathrm{SiLU}(W_1 [\cos \omega_k t, \sin \omega_k t]_{k < C/2}), \quad
        \omega_k = 10^{-8k/C}

    Args:
        channels: C, even.

    Shapes: ``time [N] -> [N, C]``.

    Raises:
        ValueError: for channels that are odd or below 2.
    """

    frequencies: Tensor

    def __init__(self, channels: int):
        super().__init__()
        if channels < 2 or channels % 2:
            raise ValueError(f"channels={channels}; cosines and sines need an even number of at least 2")
        self.register_buffer("frequencies", torch.empty(channels // 2), persistent=False)
        self.mlp = MLP(channels, channels, channels, act=nn.SiLU)
        self.reset_own()

    def reset_own(self) -> None:
        half = len(self.frequencies)
        self.frequencies.copy_(SLOWEST ** -(torch.arange(half) / half))

    def forward(self, time: Tensor) -> Tensor:
        angles = time[:, None] * self.frequencies.to(time.dtype)  # [N, C / 2]
        return self.mlp(torch.cat([angles.cos(), angles.sin()], 1))
