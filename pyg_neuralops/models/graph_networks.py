"""GNN baselines: PyG convolutions through the block that the transformers use."""

from __future__ import annotations

from collections.abc import Sequence

from torch_geometric.nn import GATv2Conv, SAGEConv
from torch_geometric.transforms import BaseTransform

from ..nn import GraphMixer
from ..nn.knn_attention import check_heads
from ..transforms import GraphEdges, KNNPatches
from .base import BlockStack


def _graph(graph: str, k: int) -> Sequence[BaseTransform]:
    return (GraphEdges(k),) if graph == "mesh" else (KNNPatches(k),)


class GraphSAGE(BlockStack):
    """GraphSAGE with mean aggregation (Hamilton et al. 2017, arXiv 1706.02216) in pre-LN residual blocks.

    Args:
        graph: "mesh" (mesh edges; point clouds: their k-nearest-neighbour graph) or "patches" (KNN patches).
        k: neighbours on point clouds, points per patch on patches.
        others: as :class:`LA2Former`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 8,
        graph: str = "mesh",
        k: int = 6,
        coords: bool = True,
        ratio: float = 2,
    ):
        super().__init__(
            in_channels,
            out_channels,
            pos_dim,
            hidden_channels,
            num_layers,
            lambda layer: GraphMixer(SAGEConv(hidden_channels, hidden_channels), graph),
            coords,
            ratio,
        )
        self.graph, self.k = graph, k

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        return _graph(self.graph, self.k)


class GATv2(BlockStack):
    """GATv2 (Brody et al. 2022, arXiv 2105.14491) in pre-LN residual blocks; on mesh edges the attention also
    sees their relative position and length.

    Args:
        heads: H, a divisor of ``hidden_channels``.
        others: as :class:`GraphSAGE`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        graph: str = "mesh",
        k: int = 6,
        coords: bool = True,
        ratio: float = 2,
    ):
        width, mesh = check_heads(hidden_channels, heads), graph == "mesh"
        super().__init__(
            in_channels,
            out_channels,
            pos_dim,
            hidden_channels,
            num_layers,
            lambda layer: GraphMixer(
                GATv2Conv(hidden_channels, width, heads, edge_dim=pos_dim + 1 if mesh else None), graph, mesh
            ),
            coords,
            ratio,
        )
        self.heads, self.graph, self.k = heads, graph, k

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        return _graph(self.graph, self.k)
