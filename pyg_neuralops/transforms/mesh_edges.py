"""``MeshEdges``: the edges of a mesh's cells."""

from __future__ import annotations

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import coalesce

from ..data import CELLS
from ..ops import relative_positions

CELL_EDGES = {
    "face": ((0, 1), (1, 2), (2, 0)),
    "quad": ((0, 1), (1, 2), (2, 3), (3, 0)),
    "tet": ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)),
}


@functional_transform("mesh_edges")
class MeshEdges(BaseTransform):
    """Write the undirected mesh edges ``edge_index [2, E]`` (each once in both directions) and ``edge_attr``.

    ``edge_attr [E, D + 1]`` is the relative position p_j - p_i from target i to source j, and its length
    (Pfaff et al. 2021). Unlike PyG's ``FaceToEdge`` this reads quads as quads.

    Raises:
        ValueError: if the data hold no cells.
    """

    def forward(self, data: Data) -> Data:
        pairs = [
            data[name][[a, b]] for name in CELLS if data.get(name) is not None for a, b in CELL_EDGES[name]
        ]  # each [2, cells]
        if not pairs:
            raise ValueError(f"the data hold no cells; mesh edges need one of {list(CELLS)}")
        edges = torch.cat(pairs, 1)
        data.edge_index = coalesce(torch.cat([edges, edges.flip(0)], 1), num_nodes=data.num_nodes)
        data.edge_attr = relative_positions(data.pos, data.edge_index)
        return data
