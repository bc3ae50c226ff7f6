"""``LowRankSpatialAttention``: compress the nodes to M latents, mix the latents, reconstruct the nodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data import Mesh
from .full_attention import FullAttention
from .heads import check_heads
from .initial import SMALL_STD, Layer, scaled_std
from .mlp import MLP, hidden_width
from .ragged import gather, scatter, split_heads
from .rms_norm import RMSNorm, normalize

LATENT_MIXERS = ("attention", "mlp")
PUBLISHED_WIDTH = 128


class LowRankSpatialAttention(Layer):
    r"""LRSA (arXiv 2604.03582): a rank-M global mixer made of standard attention only, O(N M).

    .. math::
        Z &= W_o \, \mathrm{SDPA}(P, K_x, V_x) && \text{compress, softmax over the nodes} \\
        Z &\leftarrow Z + \mathrm{FFN}_1(\mathrm{norm} Z), \quad
        Z \leftarrow Z + \mathrm{Attention}(\mathrm{norm} Z), \quad
        Z \leftarrow Z + \mathrm{FFN}_2(\mathrm{norm} Z) \\
        y &= W_o' \, \mathrm{SDPA}(Q_x, K_Z, V_Z) && \text{reconstruct, softmax over the latents}

    The learned P is the query itself: no W_q and no residual around the compression. Every norm is an RMSNorm,
    and Q and K of all three attentions go through one per head. The block's RMSNorm and residual come from
    :class:`Block` with ``norm=RMSNorm``. What reads the nodes (K_x, V_x, Q_x) is one linear layer here.

    Args:
        channels: C. heads: H, a divisor of C. num_latents: M.
        ratio: hidden width of the latent feed-forwards over C.
        latent: "attention", or "mlp" for a third feed-forward in its place (the paper's ablation).
        tied: whether the reconstruction uses the scores of the compression, transposed, instead of its own. The
            paper ablates tying without an equation known to us; this is the tying of FLARE, and of slices.
        project: whether W_o' is present (a :class:`Fusion` brings its own).

    Shapes: ``x [N, C], mesh -> [N, C]``. Padding and other samples take no part.

    Raises:
        ValueError: if heads does not divide channels, num_latents < 1, or latent is unknown.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 8,
        num_latents: int = 64,
        ratio: float = 2,
        latent: str = "attention",
        tied: bool = False,
        project: bool = True,
    ):
        super().__init__()
        width = check_heads(channels, heads)
        if num_latents < 1:
            raise ValueError(f"num_latents={num_latents}; it must be at least 1")
        if latent not in LATENT_MIXERS:
            raise ValueError(f"latent={latent!r}; choose from {list(LATENT_MIXERS)}")
        self.heads, self.num_latents, self.tied = heads, num_latents, tied
        hidden = hidden_width(channels, ratio)
        self.query = nn.Parameter(torch.empty(heads, num_latents, width))
        self.points = nn.Linear(channels, (2 if tied else 3) * channels, bias=False)  # K, V (, Q)
        self.norm_q, self.norm_k = RMSNorm(width), RMSNorm(width)
        self.compressed = nn.Linear(channels, channels)
        self.mix_norms = nn.ModuleList(RMSNorm(channels) for _ in range(3))
        self.latent_mlps = nn.ModuleList(MLP(channels, hidden, channels) for _ in range(2))
        self.latent_mixer: FullAttention | MLP = (
            FullAttention(channels, heads=heads, bias=False, qk_norm=True)
            if latent == "attention"
            else MLP(channels, hidden, channels)
        )
        self.norm_z = RMSNorm(channels)
        self.latents = nn.Linear(channels, (1 if tied else 2) * channels, bias=False)  # V (, K)
        if not tied:
            self.norm_q2, self.norm_k2 = RMSNorm(width), RMSNorm(width)
        self.out = nn.Linear(channels, channels) if project else nn.Identity()
        self.reset_own()

    def reset_own(self) -> None:
        channels = self.compressed.in_features
        nn.init.normal_(self.query, std=scaled_std(SMALL_STD, channels, PUBLISHED_WIDTH))

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        rows = self.points(x).chunk(2 if self.tied else 3, -1)
        k, v, *q = (split_heads(part, self.heads) for part in rows)  # [N, H, d]
        # The weights of the norms of K_x and Q_x multiply the latents' side of the scores instead: the same product.
        p, k = self.norm_q(self.query) * self.norm_k.weight, normalize(k)  # [H, M, d], [N, H, d]
        z = gather(p, k, v, mesh)  # [B, H, M, d]
        z = self.mix(self.compressed(z.transpose(1, 2).flatten(2)))  # [B, M, C]
        read = self.latents(self.norm_z(z)).chunk(1 if self.tied else 2, -1)
        value, *key = (split_heads(part, self.heads).transpose(1, 2) for part in read)  # [B, H, M, d]
        if self.tied:
            y = scatter(k, p.expand_as(value), value, mesh)  # [N, H, d]
        else:
            y = scatter(normalize(q[0]), self.norm_k2(key[0]) * self.norm_q2.weight, value, mesh)
        return self.out(y.flatten(1))

    def mix(self, z: Tensor) -> Tensor:
        """The latent stack, ``[B, M, C] -> [B, M, C]``."""
        mixer = self.latent_mixer.dense if isinstance(self.latent_mixer, FullAttention) else self.latent_mixer
        for norm, part in zip(self.mix_norms, (self.latent_mlps[0], mixer, self.latent_mlps[1]), strict=True):
            z = z + part(norm(z))
        return z

    def extra_repr(self) -> str:
        return f"heads={self.heads}, num_latents={self.num_latents}, tied={self.tied}"
