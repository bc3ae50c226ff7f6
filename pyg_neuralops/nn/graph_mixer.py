"""``GraphMixer`` and ``PointMixer``: any PyG convolution as a mixer."""

from __future__ import annotations

from torch import Tensor, nn

from ..data import Mesh
from .initial import Layer

GRAPHS = ("mesh", "patches")


class GraphMixer(Layer):
    """Runs a convolution ``conv(x, edge_index)`` on the mesh edges or on the patches.

    Args:
        conv: a PyG convolution C -> C.
        graph: "mesh" (``edge_index``) or "patches" (``patches.index``).
        edge_attr: whether the convolution also takes the mesh edges' attributes.
        weight: whether it also takes ``weight=mesh.weight`` where it is there, as :class:`MeanConv` does.

    Shapes: ``x [N, C], mesh -> [N, C]``.

    Raises:
        ValueError: for an unknown graph, or edge attributes asked of patches or beside weights; in forward, if patches
            are not there.
    """

    def __init__(self, conv: nn.Module, *, graph: str = "mesh", edge_attr: bool = False, weight: bool = False):
        super().__init__()
        if graph not in GRAPHS:
            raise ValueError(f"graph={graph!r}; choose from {list(GRAPHS)}")
        if edge_attr and graph != "mesh":
            raise ValueError("edge_attr=True needs graph='mesh'; patches carry no attributes")
        if edge_attr and weight:
            raise ValueError("edge_attr=True and weight=True; a convolution here takes one of them")
        self.conv, self.graph, self.edge_attr, self.weight = conv, graph, edge_attr, weight

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        if self.edge_attr:
            return self.conv(x, mesh.edge_index, mesh.edge_attr)
        if self.graph == "patches" and mesh.patches is None:
            raise ValueError("the mesh has no patches; apply KNNPatches (model.prepare does)")
        edge_index = mesh.edge_index if mesh.patches is None or self.graph == "mesh" else mesh.patches.index
        if self.weight and mesh.weight is not None:
            return self.conv(x, edge_index, weight=mesh.weight)
        return self.conv(x, edge_index)


class PointMixer(Layer):
    """Runs a convolution ``conv(x, pos, edge_index)`` on the patches, with scaled positions.

    Such convolutions feed relative positions to MLPs, which want numbers of order one.

    Args:
        conv: a PyG convolution C -> C, such as ``PointTransformerConv``.

    Shapes: ``x [N, C], mesh with patches -> [N, C]``.
    """

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        if mesh.patches is None:
            raise ValueError("the mesh has no patches; apply KNNPatches (model.prepare does)")
        return self.conv(x, mesh.coords.to(x.dtype), mesh.patches.index)
