"""Structured grids: from flat nodes to an array and back, and convolutions on it."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ..data import Mesh
from .initial import Layer

CONVOLUTIONS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def to_grid(x: Tensor, mesh: Mesh, dim: int) -> Tensor:
    """``[N, C] -> [B, n_1, ..., n_dim, C]``, a view.

    Raises:
        ValueError: unless every sample is a grid of one shape with ``dim`` axes and as many nodes.
    """
    shape = mesh.grid_shape
    if shape is None:
        raise ValueError("this layer needs structured grids of one shape; the data have no common grid_shape")
    if len(shape) != dim:
        raise ValueError(f"grid_shape={shape} has {len(shape)} axes; the layer was built for {dim}")
    if math.prod(shape) * mesh.sizes.shape[0] != x.shape[0]:
        raise ValueError(f"grid_shape={shape} does not fit samples of {x.shape[0] // mesh.sizes.shape[0]} nodes")
    return x.view(-1, *shape, x.shape[-1])


class GridConv(Layer):
    """A convolution over the axes of a structured grid, zero-padded to keep its shape.

    Args:
        in_channels, out_channels: of the nodes. dim: axes of the grid, 1 to 3. kernel: odd width.

    Shapes: ``x [N, in_channels], mesh -> [N, out_channels]``.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dim: int = 2, kernel: int = 3):
        super().__init__()
        self.dim = dim
        self.conv = CONVOLUTIONS[dim](in_channels, out_channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        y = self.conv(to_grid(x, mesh, self.dim).movedim(-1, 1))  # [B, C, n_1, ...]
        return y.movedim(1, -1).flatten(0, self.dim)


class GridStencil(Layer):
    """Dense 3-wide convolution, then LayerNorm: what LRSA's feed-forward begins with on structured grids
    (arXiv 2604.03582). ``x [N, C], mesh -> [N, C]``"""

    def __init__(self, channels: int, *, dim: int = 2):
        super().__init__()
        self.conv, self.norm = GridConv(channels, channels, dim=dim), nn.LayerNorm(channels)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        return self.norm(self.conv(x, mesh))
