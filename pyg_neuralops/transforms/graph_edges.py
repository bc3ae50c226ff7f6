"""``GraphEdges``: the graph a GNN runs on, whatever the sample brings."""

from __future__ import annotations

import torch
from torch_geometric.data import Batch, Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import to_undirected

from ..data import CELLS
from ..data.prepared import OWN, check_settings, digests, is_current, stamped
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
        channels: columns of ``edge_attr`` that the model reads: those made here, D + 1; None where it reads none.

    Raises:
        ValueError: if the data already hold the graph of another k, or attributes of their own with other columns.
    """

    def __init__(self, k: int = 6, *, channels: int | None = None):
        self.k, self.channels = k, channels

    def forward(self, data: Data) -> Data:
        found, cells = data.get("edge_key"), [name for name in CELLS if data.get(name) is not None]
        keys = [found] if isinstance(found, str) else found or []
        is_whole = data.get("edge_index") is not None and data.get("edge_attr") is not None
        if is_whole and all(key == OWN for key in keys):
            columns = data.edge_attr.shape[1]
            if self.channels not in (None, columns):
                raise ValueError(
                    f"edge_attr has {columns} columns; the model reads {self.channels}: p_j - p_i and its length "
                    "(leave edge_attr out and they are made)"
                )
            return data
        check_settings("edges", [key for key in keys if key.startswith("knn(")], f"knn(k={self.k})")
        given = all(key.startswith("given#") for key in keys) and data.get("edge_index") is not None
        now = digests(data, ["pos"], ["edge_index"] if given else cells)
        if found is not None and is_current(found, now):
            return data
        if isinstance(data, Batch):  # some samples may have cells, or edges of their own, and others none
            return self._of_samples(data)
        if any(key.startswith("mesh#") for key in keys) and not cells:
            raise ValueError("positions moved, and the cells that the edges were made from are gone; remove edge_index")
        if not given and any(data[name].numel() for name in cells):
            return MeshEdges()(data)
        if not given:
            edges = knn_graph(data.pos.detach(), self.k, data.get("batch"), loop=False)
            data.edge_index = to_undirected(edges, num_nodes=data.num_nodes)
        data.edge_attr = relative_positions(data.pos.detach(), data.edge_index)
        data.edge_key = stamped("given" if given else f"knn(k={self.k})", now, data.get("batch") is not None)
        return data

    def _of_samples(self, data: Batch) -> Batch:
        samples = [self(sample) for sample in data.to_data_list()]
        starts = data.ptr.tolist()
        edges = [sample.edge_index + start for sample, start in zip(samples, starts, strict=False)]
        data.edge_index, data.edge_attr = torch.cat(edges, 1), torch.cat([sample.edge_attr for sample in samples])
        data.edge_key = [sample.get("edge_key", OWN) for sample in samples]
        return data

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(k={self.k})"


def is_mesh(data: Data) -> bool:
    """Whether ``edge_index`` says what the mesh joins: the user's own edges, or those of cells that are gone since.

    Neighbours of a point cloud do not; edges of cells that are there are better read from these, which may be others.
    """
    found, cells = data.get("edge_key"), any(data.get(name) is not None for name in CELLS)
    keys = [found] if isinstance(found, str) else found or []
    made = any(key.startswith("knn(") or (cells and key.startswith("mesh#")) for key in keys)
    return data.get("edge_index") is not None and not made
