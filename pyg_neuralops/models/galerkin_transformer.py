"""``GalerkinTransformer``: a stack of Galerkin attention."""

from __future__ import annotations

from ..nn import GalerkinAttention
from .base import BlockStack


class GalerkinTransformer(BlockStack):
    """Galerkin transformer (Cao 2021, arXiv 2105.14995), in the size that the paper decodes point by point with
    (its inverse Darcy problem): 6 layers, 192 channels, 4 heads, feed-forward ratio 2.

    Deviations: pre-LN blocks, where the paper's have no norm but the one inside the attention; a pointwise decoder,
    where the paper's forward problems use a spectral one on grids; no down- and upsampling, no dropout. The "Galerkin"
    row of the Transolver family's tables is another layer, with features softmaxed as in GNOT.
    Attention sees coordinates in every layer, so there is no switch to leave them out.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, heads, ratio, measure: as :class:`LA2Former`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 192,
        num_layers: int = 6,
        heads: int = 4,
        ratio: float = 2,
        measure: bool | str = False,
    ):
        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=lambda layer: GalerkinAttention(hidden_channels, pos_dim=pos_dim, heads=heads),
            ratio=ratio,
            measure=measure,
        )
        self.heads = heads
