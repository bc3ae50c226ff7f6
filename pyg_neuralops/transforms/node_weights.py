"""``NodeWeights``: the measure of every node, from cells or from the density of points."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from ..data import MeshData, as_mesh_data, with_weights
from .knn_patches import KNNPatches


@functional_transform("node_weights")
class NodeWeights(BaseTransform):
    r"""Make sure that ``weight`` is there, what a node stands for in an integral; models read it with ``measure``.

    A sample with cells gets their quadrature weights (:func:`pyg_neuralops.data.nodal_weights`). A point cloud gets the
    estimate :math:`w_i \propto r_i^D`, :math:`r_i` the distance to the k-th neighbour, with sum 1, as nobody knows
    the volume of a cloud (Loftsgaarden and Quesenberry 1965, "A nonparametric estimate of a multivariate density
    function"). It is noisy, by about :math:`k^{-1/2}` for independent points, and up to :math:`2^D` too large at
    boundaries. Weights of the sample's own are kept.

    Args:
        k: the neighbour, itself not counted.
        dim: D, dimension of what the points fill, 2 for a surface in space; that of the positions when None.
        period: side lengths of a periodic box, as in :class:`KNNPatches`; cells know of no period.
        replace: whether weights that are there are made anew.

    Raises:
        ValueError: for k < 1 or dim < 1; for a batch, or fewer than two points without cells.
    """

    def __init__(
        self,
        k: int = 8,
        *,
        dim: int | None = None,
        period: float | Sequence[float | None] | None = None,
        replace: bool = False,
    ):
        if k < 1 or (dim is not None and dim < 1):
            raise ValueError(f"k={k}, dim={dim}; they must be at least 1")
        self.k, self.dim, self.replace = k, dim, replace
        self.patches = KNNPatches(k + 1, period=period)

    def forward(self, data: Data) -> Data:
        if data.get("batch") is not None:
            raise ValueError("this is a batch; weights are made sample by sample")
        mesh = as_mesh_data(data)
        if mesh.get("weight") is not None and not self.replace:
            return mesh
        mesh = copy.copy(mesh)
        for name in ("weight", "weight_key"):
            if name in mesh:
                del mesh[name]
        mesh = with_weights(mesh)
        if mesh.get("weight") is not None:
            return mesh
        if len(mesh.pos) < 2:
            raise ValueError("one point has no neighbour to tell its weight from")
        reach = self.patches(MeshData(pos=mesh.pos)).patch_reach.double()  # [N]
        weight = (reach / reach.max()) ** (self.dim or mesh.pos.shape[1])
        mesh.weight = (weight / weight.sum()).to(mesh.pos.dtype)
        return mesh

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(k={self.k})"
