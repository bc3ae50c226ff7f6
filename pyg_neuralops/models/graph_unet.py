"""``GraphUNet``: graph convolutions with pooling and unpooling."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.nn import GraphUNet as PyGGraphUNet
from torch_geometric.transforms import BaseTransform

from ..data import Mesh
from ..nn import MLP, Positions
from ..transforms import GraphEdges
from .base import NeuralOperator, check_sizes


class GraphUNet(NeuralOperator):
    """Graph U-Net (Gao and Ji 2019, arXiv 1905.05178), PyG's, between our encoder and decoder: four poolings to half
    of the nodes each, as in the paper.

    Deviations: the encoder and decoder, with a residual around the U-Net; 128 channels like the other models where
    the paper has 48. It runs on mesh edges (point clouds: their k-nearest-neighbour graph) without edge lengths.
    Which nodes are kept depends on the data, so it does not compile as a whole.

    Args:
        in_channels, out_channels, pos_dim, hidden_channels, coords: as :class:`LA2Former`.
        num_layers: poolings. pool_ratio: part of the nodes that each keeps. k: neighbours on point clouds.
        measure: False or "auto", which is the same here: PyG's sums are by degree.

    Raises:
        ValueError: if pool_ratio is not between 0 and 1.
    """

    weighs = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 4,
        pool_ratio: float = 0.5,
        k: int = 6,
        coords: bool | str = True,
        measure: bool | str = False,
    ):
        super().__init__()
        check_sizes(in_channels, out_channels, pos_dim, hidden_channels, num_layers)
        self.set_measure(measure)
        if not 0 < pool_ratio < 1:
            raise ValueError(f"pool_ratio={pool_ratio}; it must lie between 0 and 1")
        self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, pos_dim
        self.hidden_channels, self.num_layers, self.pool_ratio = hidden_channels, num_layers, pool_ratio
        self.k, self.coords = k, coords
        width = hidden_channels
        self.positions = Positions(coords, pos_dim=pos_dim)
        self.encoder = MLP(in_channels + self.positions.channels, 2 * width, width)
        self.unet = _UNet(width, width, width, num_layers, pool_ratio)
        self.decoder = nn.Sequential(nn.LayerNorm(width), MLP(width, width, out_channels))

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        return (GraphEdges(self.k),)

    def core(self, x: Tensor, mesh: Mesh) -> Tensor:
        x = self.encoder(torch.cat([x, self.positions(mesh.coords).to(x.dtype)], 1))  # [N, C]
        with warnings.catch_warnings():
            # PyG squares adjacencies as torch's sparse CSR tensors, which announce themselves as beta and unchecked.
            warnings.filterwarnings("ignore", message="Sparse (CSR tensor support|invariant checks)")
            x = x + self.unet(x, mesh.edge_index, mesh.batch)
        return self.decoder(x)  # [N, O]


class _UNet(PyGGraphUNet):
    """PyG's, with the square of the adjacency in float32 under autocast: it is sparse, and sparse products have no
    half precision on the CPU."""

    def augment_adj(self, edge_index: Tensor, edge_weight: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
        with torch.autocast(edge_index.device.type, enabled=False):
            index, weight = super().augment_adj(edge_index, edge_weight.float(), num_nodes)
        return index, weight.to(edge_weight.dtype)
