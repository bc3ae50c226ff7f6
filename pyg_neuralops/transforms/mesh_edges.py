"""``MeshEdges``: the edges of a mesh's cells."""

from __future__ import annotations

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import coalesce

from ..data import CELLS
from ..data.prepared import digests, stamped, unplace
from ..ops import relative_positions


@functional_transform("mesh_edges")
class MeshEdges(BaseTransform):
    """Write the undirected mesh edges ``edge_index [2, E]`` (each once in both directions) and ``edge_attr``.

    ``edge_attr [E, D + 1]`` is the relative position p_j - p_i from target i to source j, and its length
    (Pfaff et al. 2021). Unlike PyG's ``FaceToEdge`` this reads quads as quads. Cells of all types may be mixed; a
    degenerate cell, which names a node twice, adds no self-loop. ``edge_key`` keeps a digest of positions and cells, so
    that :class:`GraphEdges` makes the edges of others again.

    Raises:
        ValueError: if the data hold no cells.
    """

    def forward(self, data: Data) -> Data:
        pairs = [
            data[name][list(pair)] for name, cell in CELLS.items() if data.get(name) is not None for pair in cell.edges
        ]  # each [2, cells]
        if not pairs:
            raise ValueError(f"the data hold no cells; mesh edges need one of {list(CELLS)}")
        unplace(data, ("edge_index", "edge_attr", "edge_key"))
        edges = torch.cat(pairs, 1).long()
        edges = edges[:, edges[0] != edges[1]]
        data.edge_index = coalesce(torch.cat([edges, edges.flip(0)], 1), num_nodes=data.num_nodes)
        data.edge_attr = relative_positions(data.pos.detach(), data.edge_index)
        now = digests(data, ["pos"], [name for name in CELLS if data.get(name) is not None])
        data.edge_key = stamped("mesh", now, data.get("batch") is not None)
        return data
