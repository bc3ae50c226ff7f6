"""``SpectralConv``: a convolution with a global kernel, as a product in Fourier space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from .initial import Layer


class SpectralConv(Layer):
    r"""Fourier layer of FNO (Li et al. 2021, arXiv 2010.08895, eq. 4): :math:`y = F^{-1}(R \cdot F x)`.

    R mixes channels at each of the lowest modes; higher ones are dropped. Along the last axis half the spectrum
    carries a real signal; along the others positive and negative frequencies have weights of their own. Grids
    that have fewer modes use the lowest of the weights. Weights are pairs of reals, so that precision casts,
    optimizers and files need not know of complex numbers; the transform itself runs in at least float32.

    Args:
        channels: C. modes: how many on each axis.

    Shapes: ``[B, n_1, ..., n_D, C] -> [B, n_1, ..., n_D, C]``.
    """

    def __init__(self, channels: int, *, modes: Sequence[int]):
        super().__init__()
        self.channels, self.modes = channels, tuple(modes)
        corners = 2 ** (len(self.modes) - 1)
        self.weight = nn.Parameter(torch.empty(corners, channels, channels, *self.modes, 2))
        self.reset_own()

    def reset_own(self) -> None:
        nn.init.uniform_(self.weight, 0, 1 / self.channels**2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self._convolve(x if x.dtype in (torch.float32, torch.float64) else x.float()).to(x.dtype)

    def _convolve(self, x: Tensor) -> Tensor:
        shape, axes = x.shape[1:-1], tuple(range(1, x.dim() - 1))
        spectrum = torch.fft.rfftn(x, dim=axes)  # [B, n_1, ..., n_D / 2 + 1, C]
        weight = torch.view_as_complex(self.weight.to(x.dtype))  # [corners, C, C, m_1, ..., m_D]
        out = torch.zeros_like(spectrum)
        signs = product(*[(1, -1)] * (len(axes) - 1), [1])
        for corner, sign in zip(weight, signs, strict=True):
            where, used = [], []
            for axis, (s, m) in enumerate(zip(sign, self.modes, strict=True)):
                last = axis == len(shape) - 1
                most = shape[axis] // 2 + 1 if last else (shape[axis] + (s > 0)) // 2
                count = min(m, most)
                # Frequencies -count ... -1 stand at the end, with the weights of the same frequencies.
                where.append(slice(0, count) if s > 0 else slice(shape[axis] - count, shape[axis]))
                used.append(slice(0, count) if s > 0 else slice(m - count, m))
            block = (slice(None), *where)
            mixed = torch.einsum("b...i,io...->b...o", spectrum[block], corner[(slice(None), slice(None), *used)])
            out[block] = mixed
        return torch.fft.irfftn(out, s=shape, dim=axes)

    def extra_repr(self) -> str:
        return f"{self.channels}, modes={self.modes}"
