"""``KNNPatches``: each point's patch, its K nearest neighbours."""

from __future__ import annotations

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from ..ops import incoming_reach, knn_graph
from .keys import check_key


@functional_transform("knn_patches")
class KNNPatches(BaseTransform):
    """Write ``patch_index [2, N * k]`` and ``patch_reach [N]`` beside (never over) ``edge_index``.

    A patch holds its own centre, and min(k, n) points on a mesh of n points. ``patch_reach`` is the distance
    to the farthest point of the patch, the length scale l_i of the soft mask. ``patch_key`` records the
    parameters, so that a model refuses data prepared for another k.

    Args:
        k: points per patch, the centre included.
        backend: of :func:`pyg_neuralops.ops.knn_graph`.

    Raises:
        ValueError: if k < 1, positions are not finite float32 or float64, or the data already hold other patches.
    """

    def __init__(self, k: int, backend: str = "auto"):
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"k={k!r}; it must be an integer of at least 1")
        self.k = k
        self.backend = backend

    @property
    def key(self) -> str:
        """What ``patch_key`` says of patches made by this transform."""
        return f"knn(k={self.k})"

    def forward(self, data: Data) -> Data:
        found = data.get("patch_key")
        if found is not None:
            check_key("patches", found, self.key)
            return data
        data.patch_index = knn_graph(data.pos, self.k, data.get("batch"), backend=self.backend)
        data.patch_reach = incoming_reach(data.pos, data.patch_index)
        data.patch_key = self.key
        return data

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(k={self.k}, backend={self.backend!r})"
