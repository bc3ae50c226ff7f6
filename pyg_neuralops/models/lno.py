"""``LNO``: one encoding to latents, a transformer between them, one decoding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..data import Mesh
from ..nn import MLP, FullAttention, ResidualMLP
from ..nn.initial import Layer
from ..nn.mlp import hidden_width
from ..nn.ragged import over_nodes
from .base import NeuralOperator, check_sizes


class LNO(NeuralOperator):
    r"""Latent neural operator (Wang and Wang 2024, arXiv 2406.03923, eq. 5 to 8): 8 blocks, 128 channels, 8 heads,
    256 latents, MLPs of 3 hidden layers in the authors' files. Those of 2025-01-04 have 4 blocks for Darcy, Elasticity
    and Plasticity, 192 channels for Elasticity and 256 for Navier-Stokes, and 2 hidden layers but for Elasticity.

    .. math::
        S = f_s(f_t(p)), \quad Z = \mathrm{softmax}_N(S)^\top f_b(p, x), \quad
        Z \leftarrow \mathrm{Transformer}(Z), \quad y = f_o(\mathrm{softmax}_M(S) Z)

    with residual MLPs f. One score matrix S, a function of positions alone, encodes and decodes, once in the whole
    network. Deviations: the scaling of positions, and the loss, which is that of decoded fields here and of encoded
    targets in the authors' Darcy, Elasticity and Plasticity. As there is nothing but positions to score by, they
    cannot be left out.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, heads, ratio, measure: as :class:`LA2Former`.
        num_layers: blocks of the latent transformer. num_latents: M. mlp_layers: hidden layers of each f.

    Raises:
        ValueError: for sizes that make no sense.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        num_latents: int = 256,
        mlp_layers: int = 3,
        ratio: float = 2,
        measure: bool | str = False,
    ):
        super().__init__()
        check_sizes(in_channels, out_channels, pos_dim, hidden_channels, num_layers)
        self.set_measure(measure)
        if num_latents < 1:
            raise ValueError(f"num_latents={num_latents}; it must be at least 1")
        self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, pos_dim
        self.hidden_channels, self.num_layers, self.heads = hidden_channels, num_layers, heads
        self.num_latents, self.mlp_layers, self.ratio = num_latents, mlp_layers, ratio
        width = hidden_channels
        hidden: dict[str, Any] = {"hidden_channels": width, "num_layers": mlp_layers}
        self.trunk = ResidualMLP(pos_dim, width, **hidden)
        self.branch = ResidualMLP(pos_dim + in_channels, width, **hidden)
        self.score = ResidualMLP(width, num_latents, **hidden)
        self.blocks = nn.ModuleList(LatentBlock(width, heads=heads, ratio=ratio) for _ in range(num_layers))
        self.decoder = ResidualMLP(width, out_channels, **hidden)

    def core(self, x: Tensor, mesh: Mesh) -> Tensor:
        score = mesh.dense(self.score(self.trunk(mesh.coords)))  # [B, L, M]
        field = mesh.dense(self.branch(torch.cat([mesh.coords, x], 1)))  # [B, L, C]
        z = over_nodes(score, mesh).softmax(1).transpose(1, 2) @ field  # [B, M, C]
        for block in self.blocks:
            z = block(z)
        return self.decoder(mesh.flat(score.softmax(2) @ z))  # [N, O]


class LatentBlock(Layer):
    """Pre-LN transformer block between latents, ``[B, M, C] -> [B, M, C]``."""

    def __init__(self, channels: int, *, heads: int, ratio: float):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = FullAttention(channels, heads=heads)
        self.mlp = MLP(channels, hidden_width(channels, ratio), channels)

    def forward(self, z: Tensor) -> Tensor:
        z = z + self.attention.dense(self.norm1(z))
        return z + self.mlp(self.norm2(z))
