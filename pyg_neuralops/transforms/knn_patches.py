"""``KNNPatches``: each point's patch, its K nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from ..data import CELLS
from ..ops import EdgeTiles, incoming_reach, knn_graph, metric_knn_graph, reachable_knn_graph
from .keys import check_key
from .mesh_edges import MeshEdges
from .patch_cache import PatchCache
from .patch_metric import PatchMetric, Upwind
from .patch_metric import Tensor as TensorMetric


@functional_transform("knn_patches")
class KNNPatches(BaseTransform):
    """Write ``patch_index [2, N * k]`` and ``patch_reach [N]`` beside (never over) ``edge_index``.

    A patch holds its own centre, and min(k, n) points on a mesh of n points. ``patch_reach`` is the Euclidean
    distance to the farthest point of the patch, the length scale l_i of the soft mask. ``patch_key`` records the
    parameters, so that a model refuses data prepared for others.

    Args:
        k: points per patch, the centre included.
        period: side length of a periodic box on each axis (None or 0: not periodic), or one for all axes.
            Distances and relative positions are those of the nearest image.
        through_solid: False keeps only neighbours that can be reached along the mesh, so that two sides of a thin
            body or slit do not meet; see :func:`pyg_neuralops.ops.reachable_knn_graph`. Needs cells or edges.
        metric: each point's own distance, :class:`Upwind`, :class:`Tensor` or a user's :class:`PatchMetric`.
        tiles: whether the patches are also stored as tiles (``tile_*``, see :class:`pyg_neuralops.ops.EdgeTiles`),
            which attention works on many times faster than on edges; models ask for them.
        backend: of :func:`pyg_neuralops.ops.knn_graph`, for plain patches.
        cache_mib: memory for the patches of geometries seen lately; samples with equal positions (and cells or metric
            field, where these matter) then share their patches. A user's own metric is never cached.

    Raises:
        ValueError: if k < 1, a period is negative, through_solid=False is combined with a period or metric,
            positions are not finite float32 or float64, or the data already hold other patches.
    """

    def __init__(
        self,
        k: int,
        *,
        period: float | Sequence[float | None] | None = None,
        through_solid: bool = True,
        metric: PatchMetric | None = None,
        tiles: bool = False,
        backend: str = "auto",
        cache_mib: float = 256,
    ):
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"k={k!r}; it must be an integer of at least 1")
        if not through_solid and (period is not None or metric is not None):
            raise ValueError("through_solid=False cannot be combined with period or metric; choose one")
        sides = [] if period is None else [period] if isinstance(period, (int, float)) else list(period)
        self.period = tuple(float(side or 0) for side in sides)
        if any(side < 0 for side in self.period):
            raise ValueError(f"period={period}; side lengths must be positive, 0 or None for an axis without period")
        self.k, self.through_solid, self.metric, self.tiles, self.backend = k, through_solid, metric, tiles, backend

        self.cache = PatchCache(cache_mib)

    @property
    def key(self) -> str:
        """What ``patch_key`` says of patches made by this transform."""
        parts = [f"k={self.k}"]
        parts += [f"period={self.period}"] if self.period else []
        parts += [] if self.through_solid else ["through_solid=False"]
        parts += [] if self.metric is None else [f"metric={self.metric!r}"]
        return f"knn({', '.join(parts)})"

    def forward(self, data: Data) -> Data:
        found = data.get("patch_key")
        if found is not None:
            check_key("patches", found, self.key)
            return self._with_tiles(data)
        geometry = self._geometry(data)
        known = None if geometry is None else self.cache.get(geometry)
        if known is not None:
            return data.update(known)
        before = set(data.keys())
        data = self._with_tiles(self._with_patches(data))
        if geometry is not None and not torch.is_inference_mode_enabled():  # such tensors cannot be trained with
            self.cache.put(geometry, {name: data[name] for name in data.keys() if name not in before})  # noqa: SIM118
        return data

    def _geometry(self, data: Data) -> str | None:
        """What the patches of a sample depend on, in short; None where that is not known."""
        if self.cache.max_mib == 0 or type(self.metric) not in (type(None), Upwind, TensorMetric):
            return None
        tensors = [data.pos, data.get("batch")]
        if isinstance(self.metric, (Upwind, TensorMetric)):
            tensors.append(data.get(self.metric.field))
        if not self.through_solid:
            tensors += [data.get(name) for name in ("edge_index", *CELLS)]
        return self.cache.key(tensors)

    def _with_patches(self, data: Data) -> Data:
        period = self._period(data.pos)
        data.patch_index = self._neighbours(data, period)
        data.patch_reach = incoming_reach(data.pos, data.patch_index, period)
        if period is not None:
            data.patch_period = period[None]
        data.patch_key = self.key
        return data

    def _with_tiles(self, data: Data) -> Data:
        if self.tiles and data.get("tile_bits") is None:
            period = self._period(data.pos)
            data.update(EdgeTiles.flat(data.patch_index, data.pos, batch=data.get("batch"), period=period))
        return data

    def _period(self, pos: Tensor) -> Tensor | None:
        if not self.period:
            return None
        sides = self.period * pos.shape[1] if len(self.period) == 1 else self.period
        if len(sides) != pos.shape[1]:
            raise ValueError(f"period={self.period} has {len(sides)} sides; the data are {pos.shape[1]}D")
        return pos.new_tensor(sides)

    def _neighbours(self, data: Data, period: Tensor | None) -> Tensor:
        batch = data.get("batch")
        if not self.through_solid:
            edges = data.edge_index if data.get("edge_index") is not None else MeshEdges()(data).edge_index
            return reachable_knn_graph(data.pos, self.k, edges)
        metric = self.metric
        if metric is not None:
            return metric_knn_graph(
                data.pos, self.k, lambda i, p: metric.distance(data, i, p), metric.stretch(data), batch, period
            )
        if period is not None:
            ones = torch.ones(data.num_nodes)
            return metric_knn_graph(data.pos, self.k, lambda _, p: p.norm(dim=-1), ones, batch, period)
        return knn_graph(data.pos, self.k, batch, backend=self.backend)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.key[4:-1]}, backend={self.backend!r})"
