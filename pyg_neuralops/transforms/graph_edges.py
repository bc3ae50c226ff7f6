"""``GraphEdges``: the graph a GNN runs on, whatever the sample brings."""

from __future__ import annotations

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import to_undirected

from ..data import CELLS
from ..data.prepared import digests, is_current, stamped
from ..ops import knn_graph, relative_positions
from .mesh_edges import MeshEdges


@functional_transform("graph_edges")
class GraphEdges(BaseTransform):
    """Make sure that ``edge_index`` and ``edge_attr`` are there.

    A sample's own ``edge_index`` and ``edge_attr`` are kept; otherwise the edges of its cells are taken
    (:class:`MeshEdges`); a point cloud gets its symmetrised k-nearest-neighbour graph, without self loops. What was
    made here is made again where positions or cells are others now; ``edge_key`` records both.

    Args:
        k: neighbours per point on point clouds.

    Raises:
        ValueError: if the data already hold the graph of another k.
    """

    def __init__(self, k: int = 6):
        self.k = k

    def forward(self, data: Data) -> Data:
        cells = [name for name in CELLS if data.get(name) is not None]
        found = data.get("edge_key")
        if found is None and data.get("edge_index") is not None and data.get("edge_attr") is not None:
            return data  # the user's own
        if found is not None:
            settings = found if isinstance(found, str) else found[0]
            is_given = settings.startswith("given#")
        else:
            is_given = data.get("edge_index") is not None
        key = "given" if is_given else "mesh" if cells else f"knn(k={self.k})"
        now = digests(data, ["pos"], ["edge_index"] if is_given else cells)
        if found is not None and is_current("edges", found, key, now):
            return data
        if not is_given:
            pos = data.pos.detach()
            if cells:
                data = MeshEdges()(data)
            else:
                edges = knn_graph(pos, self.k, data.get("batch"), loop=False)
                data.edge_index = to_undirected(edges, num_nodes=data.num_nodes)
        data.edge_attr = relative_positions(data.pos.detach(), data.edge_index)
        data.edge_key = stamped(key, now, data.get("batch") is not None)
        return data

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(k={self.k})"
