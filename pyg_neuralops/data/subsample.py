"""``subsample``: some nodes of a sample, standing for all of them."""

from __future__ import annotations

from torch import Tensor

from .cells import CELLS
from .mesh_data import MeshData


def subsample(mesh: MeshData, subset: Tensor) -> MeshData:
    """The nodes of ``subset`` (numbers ``[n]``, or flags ``[N]``) as a point cloud.

    Weights are scaled to the sum that they had: nodes drawn at random then stand for the same domain. Cells and edges
    are left out, as they cover it no longer (:meth:`MeshData.subgraph` keeps those that lie between).

    Raises:
        ValueError: as :meth:`MeshData.subgraph`, or if all nodes that are kept have weight zero.
    """
    out = mesh.subgraph(subset)
    for name in (*CELLS, "edge_index", "edge_attr"):
        if name in out:
            del out[name]
    weight = mesh.get("weight")
    if weight is not None:
        kept = weight[subset]
        if not kept.sum() > 0:
            raise ValueError("all nodes of the subset have weight zero")
        out.weight = kept * (weight.sum() / kept.sum())
    return out
