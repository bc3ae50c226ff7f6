"""GNN baselines: PyG convolutions through the block that the transformers use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch_geometric.nn import GATv2Conv
from torch_geometric.transforms import BaseTransform

from ..nn import GraphMixer, MeanConv
from ..nn.heads import check_heads
from ..ops import edge_channels
from ..transforms import GraphEdges, KNNPatches
from ..transforms.graph_edges import check_fields
from .base import BlockStack, Patched


class _OnGraph(Patched):
    """Runs on mesh edges or on patches."""

    graph: str
    edge_channels: int | None = None
    edge_fields: Sequence[str] = ()

    def set_graph(self, graph: str, patches: KNNPatches | Mapping[str, Any] | int) -> None:
        """The graph to run on; what only patches have is refused on mesh edges, where it would do nothing."""
        self.graph, self.patches = graph, KNNPatches.of(patches)
        plain = KNNPatches(self.patches.k)
        if graph == "mesh" and self.patches.key != plain.key:
            raise ValueError(f"patches={self.patches.key}, of which graph='mesh' reads k only; choose graph='patches'")

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        if self.graph != "mesh":
            return (self.patches,)
        return (GraphEdges(self.patches.k, channels=self.edge_channels, fields=self.edge_fields),)


class GraphSAGE(_OnGraph, BlockStack):
    """GraphSAGE with mean aggregation (Hamilton et al. 2017, arXiv 1706.02216) in pre-LN residual blocks.

    Args:
        graph: "mesh" (mesh edges; point clouds: their k-nearest-neighbour graph) or "patches" (KNN patches).
        patches: as :class:`LA2Former`; on mesh edges only k is read, for point clouds.
        measure: as :class:`LA2Former`; the means are by weight.
        others: as :class:`LA2Former`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 8,
        graph: str = "mesh",
        patches: KNNPatches | Mapping[str, Any] | int = 6,
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
            make_mixer=lambda layer: GraphMixer(MeanConv(hidden_channels), graph=graph, weight=True),
            coords=coords,
            ratio=ratio,
            measure=measure,
        )
        self.set_graph(graph, patches)


class GATv2(_OnGraph, BlockStack):
    """GATv2 (Brody et al. 2022, arXiv 2105.14491) in pre-LN residual blocks; on mesh edges the attention also
    sees their relative position and length; a sample's own ``edge_attr`` must have as many columns, D + 1.

    Args:
        heads: H, a divisor of ``hidden_channels``.
        measure: False or "auto", which is the same here: nodes do not count by weight in PyG's softmax.
        edge_fields: as :class:`MeshGraphNet`; patches have no edge attributes, and take none.
        others: as :class:`GraphSAGE`.
    """

    weighs = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        graph: str = "mesh",
        patches: KNNPatches | Mapping[str, Any] | int = 6,
        coords: bool | str = True,
        ratio: float = 2,
        measure: bool | str = False,
        edge_fields: Sequence[str] = (),
    ):
        width, mesh = check_heads(hidden_channels, heads), graph == "mesh"
        fields = check_fields(edge_fields)
        channels = edge_channels(pos_dim, fields)
        if fields and not mesh:
            raise ValueError(f"edge_fields={list(fields)} with graph={graph!r}; only mesh edges have attributes")
        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=lambda layer: GraphMixer(
                GATv2Conv(hidden_channels, width, heads, edge_dim=channels if mesh else None),
                graph=graph,
                edge_attr=mesh,
            ),
            coords=coords,
            ratio=ratio,
            measure=measure,
        )
        self.set_graph(graph, patches)
        self.heads, self.edge_channels, self.edge_fields = heads, channels, fields
