"""``GraphEdges``: the graph a GNN runs on, whatever the sample brings."""

from __future__ import annotations

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import to_undirected

from ..data import CELLS
from ..ops import knn_graph, relative_positions
from .keys import check_key
from .mesh_edges import MeshEdges


@functional_transform("graph_edges")
class GraphEdges(BaseTransform):
    """Make sure that ``edge_index`` and ``edge_attr`` are there.

    A sample's own ``edge_index`` is kept; otherwise the edges of its cells are taken (:class:`MeshEdges`); a
    point cloud gets its symmetrised k-nearest-neighbour graph, without self loops.

    Args:
        k: neighbours per point on point clouds; ``edge_key`` records it.

    Raises:
        ValueError: if the data already hold the graph of another k.
    """

    def __init__(self, k: int = 6):
        self.k = k

    def forward(self, data: Data) -> Data:
        if data.get("edge_key") is not None:
            check_key("edges", data.edge_key, f"knn(k={self.k})")
        if data.get("edge_index") is None:
            if any(data.get(name) is not None for name in CELLS):
                return MeshEdges()(data)
            data.edge_key = f"knn(k={self.k})"
            edges = knn_graph(data.pos, self.k, data.get("batch"), loop=False)
            data.edge_index = to_undirected(edges, num_nodes=data.num_nodes)
        if data.get("edge_attr") is None:
            data.edge_attr = relative_positions(data.pos, data.edge_index)
        return data

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(k={self.k})"
