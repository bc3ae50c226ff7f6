"""``KNNPatches``: each point's patch, its K nearest neighbours or all within a radius."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from ..data import CELLS
from ..data.fields import PATCHES, PREPARED
from ..data.prepared import check_settings, digests, is_checked, is_current, stamped, unplace
from ..ops import EdgeTiles
from .graph_edges import is_mesh
from .metric_text import parse_metric
from .patch_cache import PatchCache
from .patch_metric import PatchMetric
from .patch_neighbours import box_of, box_sides, neighbours
from .patch_window import PatchWindow

NO_INPUT = PREPARED | {"y", "edge_index", "edge_attr"}


@functional_transform("knn_patches")
class KNNPatches(BaseTransform):
    """Write ``patch_index [2, E]`` and ``patch_reach [N]`` beside (never over) ``edge_index``.

    A patch holds its own centre, and min(k, n) points on a mesh of n points; with a radius, those that are inside.
    ``patch_reach`` is the length scale l_i of the soft mask, see ``scale``. ``patch_key`` records the
    settings, so that a model refuses data prepared with others, and a digest of what the patches were made from
    (positions; the metric's fields; with through_solid=False cells or edges): patches of other values are made again.

    Also a value: models take one in their argument ``patches``, or its settings as a mapping, or k alone.

    Args:
        k: points per patch, the centre included; with ``radius`` the most of them.
        period: side length of a periodic box on each axis (None or 0: not periodic), or one for all axes.
            Distances and relative positions are those of the nearest image.
        through_solid: False keeps only neighbours that can be reached along the mesh, so that two sides of a thin
            body or slit do not meet; see :func:`pyg_neuralops.ops.reachable_knn_graph`. Needs cells or edges of a
            mesh; the neighbours of a point cloud (:class:`GraphEdges`) may lie across a body, and are none.
        metric: each point's own distance, :class:`Upwind`, :class:`Characteristic`, :class:`Anisotropic` or a user's
            :class:`PatchMetric`; or what :func:`parse_metric` reads.
        tiles: whether the patches are also stored as tiles (``tile_*``, see :class:`pyg_neuralops.ops.EdgeTiles`),
            which attention works on many times faster than on edges; models ask for them.
        backend: of :func:`pyg_neuralops.ops.knn_graph`, for plain patches.
        cache_mib: memory for the patches of geometries seen lately; samples with equal positions (and cells or metric
            fields, where these matter) then share their patches. Not used for a metric without ``fields``.
        radius: a patch is all points within so much of the domain's length, the same window on a finer mesh: 0.1 of
            the longest side of the sample's bounding box, of the period on periodic axes. (The box does not turn with
            the mesh: turned by 45 degrees, a square has a window 1.4 times as long.) Where these are more than
            k, they are thinned evenly (:func:`pyg_neuralops.ops.ball_graph`): which points stay does not depend on
            their weight, so that a model that counts nodes by weight goes on to do so, and one that does not, not.
        least: nearest points that a patch has in any case, min(8, k) by default: on coarse meshes the radius may
            hold fewer.
        scale: "reach", l_i is the Euclidean distance to the farthest point of the patch; or "domain", l_i is the
            radius, one length for all nodes of a sample.

    Raises:
        ValueError: if k < 1, a period is negative, through_solid=False is combined with a period or metric or finds no
            mesh, a radius with one of these two (they have windows of their own), positions are not finite float32 or
            float64, or the data already hold patches of other settings; as :class:`.patch_window.PatchWindow`.
    """

    def __init__(
        self,
        k: int,
        *,
        period: float | Sequence[float | None] | None = None,
        through_solid: bool = True,
        metric: PatchMetric | Mapping[str, Any] | str | None = None,
        tiles: bool = False,
        backend: str = "auto",
        cache_mib: float = 256,
        radius: float | None = None,
        least: int | None = None,
        scale: str = "reach",
    ):
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            more = " (a study chooses 'auto' before it builds the model; study.choose_k does so in Python)"
            raise ValueError(f"k={k!r}; it must be an integer of at least 1{more if k == 'auto' else ''}")
        if not isinstance(through_solid, bool):
            raise ValueError(f"through_solid={through_solid!r}; choose True or False")
        if not through_solid and (period is not None or metric is not None):
            raise ValueError("through_solid=False cannot be combined with period or metric; choose one")
        if radius is not None and (not through_solid or metric is not None):
            raise ValueError(f"radius={radius!r} cannot be combined with through_solid=False or metric; choose k alone")
        self.window = PatchWindow.of(k, radius, least, scale)
        self.k, self.period, self.through_solid = k, box_sides(period), through_solid
        self.metric = None if metric is None else parse_metric(metric)
        self.tiles, self.backend = tiles, backend
        self.cache = PatchCache(cache_mib)

    @classmethod
    def of(cls, value: KNNPatches | Mapping[str, Any] | int, *, tiles: bool = False) -> KNNPatches:
        """Patches from a value of their own kind, from their settings, or from k; ``tiles`` adds tiles to them.

        Raises:
            ValueError: for anything else; as :meth:`from_config`.
        """
        if isinstance(value, KNNPatches):
            if value.tiles or not tiles:
                return value
            value = copy.copy(value)
            value.tiles = True
            return value
        if isinstance(value, Mapping):
            return cls.from_config({"tiles": tiles, **value})
        return cls(value, tiles=tiles)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> KNNPatches:
        """Patches from their settings, as :meth:`to_config` gives them or shorter: ``{"k": 24, "period": 1.0}``.

        Raises:
            ValueError: for a missing k or an unknown name, saying what there is; as the constructor.
        """
        names = list(inspect.signature(cls).parameters)
        unknown = sorted(str(name) for name in set(config) - set(names))
        if unknown or "k" not in config:
            wrong = f"unknown {unknown}" if unknown else "k is missing"
            raise ValueError(f"patches={dict(config)}: {wrong}; choose from {names}")
        return cls(**config)

    def to_config(self) -> dict[str, Any]:
        """The settings that say which points make a patch, as JSON can hold them; not how patches are stored."""
        metric = None if self.metric is None else self.metric.to_config()
        period = list(self.period) or None
        plain = {"k": self.k, "period": period, "through_solid": self.through_solid, "metric": metric}
        return {**plain, **self.window.settings()}

    @property
    def key(self) -> str:
        """What ``patch_key`` says of the settings."""
        parts = [f"k={self.k}"]
        parts += [f"period={self.period}"] if self.period else []
        parts += [] if self.through_solid else ["through_solid=False"]
        parts += [] if self.metric is None else [f"metric={PatchMetric.__repr__(self.metric)}"]
        parts += [f"{name}={value!r}" for name, value in self.window.settings().items()]
        return f"knn({', '.join(parts)})"

    def forward(self, data: Data) -> Data:
        found = data.get("patch_key")
        if found is not None:
            check_settings("patches", found, self.key)
            if is_checked(found):
                return self._with_tiles(data)
        now = digests(data, *self._read_from(data))
        if found is not None:
            if is_current(found, now):
                return self._with_tiles(data)
            for name in [name for name in PATCHES if name in data]:
                del data[name]
            unplace(data, PATCHES)
        # A metric that may read anything may read what no digest sees.
        is_known = self.metric is None or self.metric.fields is not None
        geometry = f"{self.key}{self.tiles}{now}{data.pos.dtype}{data.pos.device}" if is_known else None
        known = None if geometry is None else self.cache.get(geometry)
        if known is not None:
            return data.update(known)
        before = set(data.keys())
        data = self._with_patches(data)
        data.patch_key = stamped(self.key, now, data.get("batch") is not None)
        data = self._with_tiles(data)
        if geometry is not None and not torch.is_inference_mode_enabled():  # such tensors cannot be trained with
            self.cache.put(geometry, {name: data[name] for name in data.keys() if name not in before})  # noqa: SIM118
        return data

    def _read_from(self, data: Data) -> tuple[list[str], list[str]]:
        """Names of the fields and of the cells that the patches of a sample depend on."""
        if not self.through_solid:
            return ["pos"], ["edge_index"] if is_mesh(data) else [name for name in CELLS if data.get(name) is not None]
        if self.metric is None:
            return ["pos"], []
        if self.metric.fields is not None:
            cells = [name for name in self.metric.fields if name in CELLS]
            fields = [name for name in self.metric.fields if name not in CELLS]
            return ["pos", *fields], [name for name in cells if data.get(name) is not None]
        rows = (data.num_nodes, 1 if data.get("ptr") is None else len(data.ptr) - 1)
        return [
            name
            for name, value in sorted(data.to_dict().items())
            if isinstance(value, Tensor) and value.dim() and len(value) in rows and name not in NO_INPUT
        ], [name for name in CELLS if data.get(name) is not None]

    def _with_patches(self, data: Data) -> Data:
        pos, window = data.pos.detach(), self.window
        period = box_of(self.period, pos)
        settings = {"through_solid": self.through_solid, "metric": self.metric, "backend": self.backend}
        data.patch_index = neighbours(data, self.k, period, window=window, **settings)  # type: ignore[arg-type]
        data.patch_reach = window.reach(pos, data.patch_index, data.get("batch"), period)
        if window.scale == "domain":
            data.patch_radius = pos.new_tensor([window.radius])
        if period is not None:
            data.patch_period = period[None]
        return data

    def _with_tiles(self, data: Data) -> Data:
        if self.tiles and data.get("tile_bits") is None:
            pos = data.pos.detach()
            period = box_of(self.period, pos)
            data.update(EdgeTiles.flat(data.patch_index, pos, batch=data.get("batch"), period=period))
        return data

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.key[4:-1]}, backend={self.backend!r})"
