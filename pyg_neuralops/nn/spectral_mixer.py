"""``SpectralMixer``: a learned filter on the lowest modes of the Laplacian, FNO's idea on any mesh."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data import Mesh
from .initial import Layer
from .mlp import MLP

FILTER_WIDTH = 32


class SpectralMixer(Layer):
    r"""A convolution on a mesh, as a product on the eigenfunctions :math:`\phi_m` of its Laplacian.

    .. math:: y = W_o \sum_m \phi_m(p)\; g(\lambda_m) \odot \int \phi_m W_v x \,/\, |\Omega|

    with g an MLP of :math:`\log(1 + \lambda)`, one number for each channel. As g knows a mode by its eigenvalue
    alone, and each mode occurs twice, the result depends neither on signs nor on the basis of equal eigenvalues, nor on
    the number of nodes; other meshes have other modes and the same filter. FNO (arXiv 2010.08895) mixes channels at
    every mode instead, which needs modes that are the same for all samples. The filter is ours.

    Args:
        channels: C. project: whether W_o is present.

    Shapes: ``x [N, C], mesh with modes -> [N, C]``.

    Raises:
        ValueError: in forward, if the mesh has no modes.
    """

    def __init__(self, channels: int, *, project: bool = True):
        super().__init__()
        self.channels = channels
        self.value = nn.Linear(channels, channels)
        self.filter = MLP(1, FILTER_WIDTH, channels)
        self.out = nn.Linear(channels, channels) if project else nn.Identity()

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        modes = mesh.modes
        if modes is None:
            raise ValueError("the mesh has no modes; apply LaplacianModes (model.prepare does)")
        value, gain = self.value(x), self.filter(modes.eigenvalues.log1p()[..., None].to(x.dtype))  # [N, C], [B, M, C]
        with torch.autocast(x.device.type, enabled=False):  # shares are too small for half formats
            wide = torch.promote_types(modes.values.dtype, torch.float32)
            basis, shares = (mesh.dense(part.to(wide)) for part in (modes.values, modes.shares))  # [B, L, M]
            found = torch.bmm(shares.transpose(1, 2), mesh.dense(value.to(wide)))  # [B, M, C]
            y = mesh.flat(torch.bmm(basis, found * gain.to(wide))).to(value.dtype)
        return self.out(y)

    def extra_repr(self) -> str:
        return f"{self.channels}"
