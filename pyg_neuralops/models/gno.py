"""``GNO``: a stack of kernel integrals over patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..data import Mesh
from ..nn import KernelIntegral
from ..transforms import KNNPatches
from .base import BlockStack, Patched


class GNO(Patched, BlockStack):
    """Graph neural operator (Li et al. 2020, arXiv 2003.03485): 6 kernel integrals at width 64.

    The kernels see the relative position, both positions and the inputs at both ends, as the authors' do. Deviations:
    the mean runs over the K nearest points instead of a ball; the kernel gives one number per channel
    (as in GINO, arXiv 2309.00583) where the paper's gives a matrix and is far wider (1024 against 64 hidden
    channels); layers do not share weights; and the integrals stand in our pre-LN residual blocks, whose residual
    takes the place of the paper's pointwise linear term.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, ratio, measure: as :class:`LA2Former`.
        patches: as :class:`LA2Former`.
        kernel_channels: hidden width of the kernels.
        coords: whether encoder and kernels see positions; without, kernels see relative ones only. With
            "reference-grid" the encoder sees distances (:class:`Positions`), the kernels coordinates.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 64,
        num_layers: int = 6,
        patches: KNNPatches | Mapping[str, Any] | int = 32,
        kernel_channels: int = 64,
        coords: bool | str = True,
        ratio: float = 2,
        measure: bool | str = False,
    ):
        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=lambda layer: KernelIntegral(
                hidden_channels,
                pos_dim=pos_dim,
                kernel_channels=kernel_channels,
                in_channels=in_channels,
                coords=bool(coords),
            ),
            coords=coords,
            ratio=ratio,
            measure=measure,
        )
        self.patches, self.kernel_channels = KNNPatches.of(patches), kernel_channels

    def core(self, x: Tensor, mesh: Mesh) -> Tensor:
        return super().core(x, replace(mesh, inputs=x))
