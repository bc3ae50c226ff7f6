"""``FNO``: Fourier layers on structured grids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import Mesh
from ..nn import MLP, Positions, SpectralConv
from ..nn.grid import to_grid
from .base import NeuralOperator, check_sizes


class FNO(NeuralOperator):
    r"""Fourier neural operator (Li et al. 2021, arXiv 2010.08895): 4 layers, 32 channels, 12 modes an axis.

    .. math:: v \leftarrow \sigma(W v + K v)

    with the :class:`SpectralConv` K, the pointwise linear W, and no :math:`\sigma` after the last layer; one linear
    layer before, an MLP of width 128 behind. Grids only: ``data.grid_shape`` must be there and have ``pos_dim`` axes;
    the grid may be bent, as its index space is what is transformed. Without ``coords`` and padding, shifting a
    periodic field shifts the result. Deviation: GELU, as in the authors' later code.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, coords: as :class:`LA2Former`.
        modes: kept on each axis, one number for all or one for each.
        padding: nodes of zeros added at the end of each axis while in the layers, for fields that are not periodic
            (9 in the authors' Darcy script).
        measure: False or "auto", which is the same here: the nodes of a grid count alike.

    Raises:
        ValueError: for modes < 1 or not one an axis; in forward, for data that are not grids.
    """

    weighs = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 32,
        num_layers: int = 4,
        modes: int | Sequence[int] = 12,
        padding: int = 0,
        coords: bool | str = True,
        measure: bool | str = False,
    ):
        super().__init__()
        check_sizes(in_channels, out_channels, pos_dim, hidden_channels, num_layers)
        self.set_measure(measure)
        each = [modes] * pos_dim if isinstance(modes, int) else list(modes)
        if len(each) != pos_dim or min(each) < 1 or padding < 0:
            raise ValueError(f"modes={modes}, padding={padding}; give {pos_dim} modes of at least 1, padding from 0")
        self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, pos_dim
        self.hidden_channels, self.num_layers, self.coords = hidden_channels, num_layers, coords
        self.modes, self.padding = modes if isinstance(modes, int) else each, padding
        width = hidden_channels
        self.positions = Positions(coords, pos_dim=pos_dim)
        self.encoder = nn.Linear(in_channels + self.positions.channels, width)
        self.spectral = nn.ModuleList(SpectralConv(width, modes=each) for _ in range(num_layers))
        self.pointwise = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers))
        self.decoder = MLP(width, 128, out_channels)

    def core(self, x: Tensor, mesh: Mesh) -> Tensor:
        x = self.encoder(torch.cat([x, self.positions(mesh.coords).to(x.dtype)], 1))  # [N, C]
        v = to_grid(x, mesh, self.pos_dim)  # [B, n_1, ..., n_D, C]
        shape = v.shape[1:-1]
        v = F.pad(v, (0, 0) + (0, self.padding) * self.pos_dim)
        for layer, (spectral, pointwise) in enumerate(zip(self.spectral, self.pointwise, strict=True)):
            v = spectral(v) + pointwise(v)
            v = v if layer + 1 == self.num_layers else F.gelu(v)
        v = v[(slice(None), *(slice(n) for n in shape))]
        return self.decoder(v.flatten(0, self.pos_dim))  # [N, O]
