"""``LocalSpacing``: how fine the mesh is at each node."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.utils import scatter

from ..data import MeshData
from ..ops import knn_graph
from .mesh_edges import MeshEdges
from .node_features import NodeFeatures


@functional_transform("local_spacing")
class LocalSpacing(NodeFeatures):
    """Append log h to ``x``, h the local spacing in the unit of positions.

    h is the mean length of the cells' edges at the node; on a point cloud the mean distance of its nearest neighbours.

    Args:
        k: neighbours on point clouds; 2 D by default, those of a grid.

    Raises:
        ValueError: for a batch, k < 1, or a node whose spacing is 0 or that has no edge or neighbour.
    """

    def __init__(self, k: int | None = None):
        if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
            raise ValueError(f"k={k!r}; it must be an integer of at least 1")
        self.k = k

    def names(self, pos_dim: int) -> tuple[str, ...]:
        return ("log_spacing",)

    def values(self, data: MeshData) -> Tensor:
        spacing = local_spacing(data.pos, data.cells, self.k)
        bad = (spacing <= 0).nonzero().flatten()
        if len(bad):
            why = "is in no cell, or all its edges have length 0" if data.cells else "has no neighbour at a distance"
            raise ValueError(f"node {int(bad[0])} {why}; it has no spacing")
        return spacing.log()[:, None]

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(k={self.k})"


def local_spacing(pos: Tensor, cells: Mapping[str, Tensor], k: int | None = None) -> Tensor:
    """h of :class:`LocalSpacing`, ``[N]`` float64; 0 at nodes without an edge or neighbour."""
    pos = pos.detach().double()
    if any(corners.numel() for corners in cells.values()):
        edges = MeshEdges()(MeshData(pos=pos, **cells)).edge_index
    else:
        edges = knn_graph(pos, k or 2 * pos.shape[1], loop=False)
    length = (pos[edges[0]] - pos[edges[1]]).norm(dim=1)
    return scatter(length, edges[1], dim_size=len(pos), reduce="mean")
