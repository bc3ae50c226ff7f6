"""GNN baselines: PyG convolutions through the block that the transformers use."""

from __future__ import annotations

from collections.abc import Sequence

from torch_geometric.nn import GATv2Conv, SAGEConv
from torch_geometric.transforms import BaseTransform

from ..nn import GraphMixer
from ..nn.heads import check_heads
from ..transforms import GraphEdges, PatchMetric
from .base import BlockStack, Patched


class _OnGraph(Patched):
    """Runs on mesh edges or on patches."""

    graph: str
    k: int

    def set_graph(
        self,
        graph: str,
        k: int,
        period: float | Sequence[float | None] | None,
        through_solid: bool,
        metric: PatchMetric | str | None,
    ) -> None:
        """The graph to run on; what only patches have is refused on mesh edges, where it would do nothing."""
        if graph == "mesh" and (period is not None or metric is not None or not through_solid):
            raise ValueError(
                f"period={period}, through_solid={through_solid}, metric={metric} are of patches; graph='mesh' has "
                "none, choose graph='patches'"
            )
        self.set_patches(k, period, through_solid, metric)
        self.graph = graph

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        return (GraphEdges(self.k),) if self.graph == "mesh" else (self.patches,)


class GraphSAGE(_OnGraph, BlockStack):
    """GraphSAGE with mean aggregation (Hamilton et al. 2017, arXiv 1706.02216) in pre-LN residual blocks.

    Args:
        graph: "mesh" (mesh edges; point clouds: their k-nearest-neighbour graph) or "patches" (KNN patches).
        k: neighbours on point clouds, points per patch on patches.
        period, through_solid, metric: of the patches, as :class:`LA2Former`.
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
        period: float | Sequence[float | None] | None = None,
        through_solid: bool = True,
        metric: PatchMetric | str | None = None,
        coords: bool | str = True,
        ratio: float = 2,
    ):
        super().__init__(
            in_channels,
            out_channels,
            pos_dim,
            hidden_channels,
            num_layers,
            lambda layer: GraphMixer(SAGEConv(hidden_channels, hidden_channels), graph=graph),
            coords,
            ratio,
        )
        self.set_graph(graph, k, period, through_solid, metric)


class GATv2(_OnGraph, BlockStack):
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
        period: float | Sequence[float | None] | None = None,
        through_solid: bool = True,
        metric: PatchMetric | str | None = None,
        coords: bool | str = True,
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
                GATv2Conv(hidden_channels, width, heads, edge_dim=pos_dim + 1 if mesh else None),
                graph=graph,
                edge_attr=mesh,
            ),
            coords,
            ratio,
        )
        self.set_graph(graph, k, period, through_solid, metric)
        self.heads = heads
