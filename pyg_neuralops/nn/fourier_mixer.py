"""``FourierMixer``: FNO's convolution as a mixer on structured grids."""

from __future__ import annotations

from torch import Tensor

from ..data import Mesh
from .grid import to_grid
from .initial import Layer
from .spectral_conv import SpectralConv


class FourierMixer(Layer):
    """:class:`SpectralConv` on the nodes of grids, which may be bent: their index space is what is transformed.

    Args:
        channels: C. dim: axes of the grid. modes: kept on each axis.

    Shapes: ``x [N, C], mesh -> [N, C]``.

    Raises:
        ValueError: in forward, unless every sample is a grid of one shape with ``dim`` axes.
    """

    def __init__(self, channels: int, *, dim: int = 2, modes: int = 8):
        super().__init__()
        self.dim = dim
        self.conv = SpectralConv(channels, modes=[modes] * dim)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        return self.conv(to_grid(x, mesh, self.dim)).flatten(0, self.dim)
