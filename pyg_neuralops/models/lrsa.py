"""``LRSA``: a stack of low-rank spatial attention."""

from __future__ import annotations

from torch import nn

from ..nn import Block, GridStencil, LowRankSpatialAttention, RMSNorm
from ..nn.heads import default_heads
from ..nn.mlp import hidden_width
from .base import BlockStack


class LRSA(BlockStack):
    """LRSA (arXiv 2604.03582): RMSNorm pre-norm blocks of :class:`LowRankSpatialAttention` and a feed-forward.

    Encoder and decoder are those of all our stacks; the paper's per-benchmark ones (such as sinusoidal
    coordinates for cars) are not reproduced. The blocks have the published count of weights, L (23 C² + M C) and
    18 C + 6 d more for biases and norms. The released checkpoints need not be of this plain block: third parties
    report biases on K and V, no norm before the decoder and another initialisation for cars, latents of other number
    and width by task, options (rotary positions, gated feed-forwards) and other numbers of epochs than 500.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, num_layers, coords, measure: as :class:`LA2Former`.
        heads: H, a divisor of C; when None, at most 8 heads of at least 16 channels, as wide as the paper's. Narrower
            ones keep the normed queries and keys from being sharp.
        num_latents: M, the rank.
        ratio: hidden width of all feed-forwards over C (1 for the paper's cars).
        latent: what mixes the latents, "attention" or "mlp".
        tied: whether compression and reconstruction share their scores.
        structured: whether feed-forwards begin with a dense 3-wide convolution and a LayerNorm, which the paper allows
            on grids; nodes must then be structured grids (``data.grid_shape``). A comparison on grids with Transolver's
            convolutions should have this form too.

    Raises:
        ValueError: as :class:`LowRankSpatialAttention`; in forward, for structured=True without grids.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int | None = None,
        num_latents: int = 64,
        ratio: float = 2,
        latent: str = "attention",
        tied: bool = False,
        structured: bool = False,
        coords: bool | str = True,
        measure: bool | str = False,
    ):
        heads = default_heads(hidden_channels) if heads is None else heads

        def make_mixer(layer: int) -> nn.Module:
            return LowRankSpatialAttention(
                hidden_channels, heads=heads, num_latents=num_latents, ratio=ratio, latent=latent, tied=tied
            )

        def make_block(mixer: nn.Module) -> nn.Module:
            if not structured:
                return Block(hidden_channels, mixer, ratio=ratio, norm=RMSNorm)
            width = hidden_width(hidden_channels, ratio)
            mlp = nn.Sequential(
                nn.Linear(hidden_channels, width, bias=False), nn.GELU(), nn.Linear(width, hidden_channels)
            )
            stencil = GridStencil(hidden_channels, dim=pos_dim)
            return Block(hidden_channels, mixer, norm=RMSNorm, mlp=mlp, stencil=stencil)

        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=make_mixer,
            coords=coords,
            ratio=ratio,
            make_block=make_block,
            measure=measure,
        )
        self.heads, self.num_latents, self.latent, self.tied = heads, num_latents, latent, tied
        self.structured = structured
