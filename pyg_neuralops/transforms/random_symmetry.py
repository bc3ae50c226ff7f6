"""``RandomSymmetry``: a sample somewhere else in space, as augmentation."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import scatter

from ..data import CELLS, field_of
from ..data.prepared import OWN
from .components import Columns, Components
from .grid_order import grid_order
from .symmetry_groups import check_group, draw

MIRRORED = {
    "line": (1, 0),
    "face": (2, 1, 0),
    "quad": (3, 2, 1, 0),
    "tet": (1, 0, 2, 3),
    "hex": (4, 5, 6, 7, 0, 1, 2, 3),
    "wedge": (3, 4, 5, 0, 1, 2),
    "pyramid": (3, 2, 1, 0, 4),
}
"""Corners of a reflected cell in an order in which it has its orientation again."""


@functional_transform("random_symmetry")
class RandomSymmetry(BaseTransform):
    r"""Rotate, reflect, scale and shift a sample at random: :math:`p \to c + s Q (p - c) + t`, vectors and tensors too.

    Each application draws anew, from torch's global generator, so that loaders' seeds hold: make it the ``transform``
    of a dataset, before ``model.prepare``. It is for problems that do not know directions (or whose directions are
    fields named here), and lengths where ``scale`` is used.

    Vectors become Q v and tensors Q A Q^T; ``wind`` and ``conductivity`` do by themselves, columns of other fields
    where they are named (``theta`` and ``edge_attr`` too); all else are scalars. Values do not change with s, but
    ``weight`` does with its measure. Cells keep their nodes and orientation. A sample with ``grid_shape`` is a grid
    again: its nodes are put in the order in which the grid runs along the axes as before.

    Args:
        group: "rotations" (all), "isometries" (reflections too), "quarter-turns", "square" (of the square or cube, with
            reflections), "mirrors" (of the axes), "identity", or matrices of your own, ``[G, D, D]``.
        shift: t is uniform in [-shift, shift] along each axis, in the unit of positions.
        scale: s is between these two, log-uniform.
        center: c; the middle of each sample's bounding box by default.
        vectors, tensors, odd: columns by field, see :class:`Components`.

    Raises:
        ValueError: for settings that make no sense; in use for a batch, a prepared sample, a field or column that is
            named and not there (but ``y``), and a grid that is none after the motion.
    """

    def __init__(
        self,
        group: str | Tensor = "rotations",
        *,
        shift: float = 0.0,
        scale: tuple[float, float] = (1.0, 1.0),
        center: Sequence[float] | None = None,
        vectors: Columns | None = None,
        tensors: Columns | None = None,
        odd: Mapping[str, Sequence[int]] | None = None,
    ):
        check_group(group)
        if not (isinstance(shift, (int, float)) and 0 <= shift < math.inf):
            raise ValueError(f"shift={shift!r}; it must be a number of at least 0")
        if not (isinstance(scale, (tuple, list)) and len(scale) == 2 and 0 < scale[0] <= scale[1] < math.inf):
            raise ValueError(f"scale={scale!r}; give the smallest and the largest, both above 0")
        self.group, self.shift, self.scale, self.center = group, shift, scale, center
        self.components = Components(vectors or {}, tensors or {}, odd or {})

    def forward(self, data: Data) -> Data:
        if data.get("batch") is not None:
            raise ValueError("RandomSymmetry moves each sample by itself; apply it before they are batched")
        dim = data.pos.shape[1]
        turn = draw(self.group, dim)
        low, high = map(math.log, self.scale)
        part = torch.rand(1 + dim, dtype=torch.float64)
        return self.moved(data, turn, math.exp(low + (high - low) * float(part[0])), self.shift * (2 * part[1:] - 1))

    def moved(self, data: Data, turn: Tensor, scale: float = 1.0, shift: Tensor | None = None) -> Data:
        """A copy of a sample, or batch, moved by ``turn [D, D]``, ``scale`` and ``shift [D]``.

        Raises:
            ValueError: as the class, in use.
        """
        self._check(data)
        order, shape = (None, None) if data.get("grid_shape") is None else grid_order(data, turn)
        out, nodes = copy.copy(data), data.num_nodes
        for name in dict.fromkeys([*self.components.names, "wind", "conductivity"]):
            if data.get(name) is not None:
                out[name] = self.components.turned(name, data[name], turn)
        center, home = self._centers(data), turn.to(data.pos.device)
        pos = center + scale * (data.pos.double() - center) @ home.mT
        out.pos = (pos if shift is None else pos + shift.to(pos.device)).to(data.pos.dtype)
        cells = {name: data[name] for name in CELLS if data.get(name) is not None}
        if data.get("weight") is not None and scale != 1:
            out.weight = data.weight * scale ** max([CELLS[name].dim for name in cells] or [data.pos.shape[1]])
        if torch.linalg.det(turn) < 0:
            out.update({name: corners[list(MIRRORED[name])] for name, corners in cells.items()})
        return out if order is None else _reordered(out, order, shape, nodes)

    def back(self, values: Tensor, data: Data, turn: Tensor) -> Tensor:
        """Predictions of ``y`` for ``moved(data, turn)``, ``[N, O]`` or ``[B, O]``, as they are for ``data``."""
        found = self.components.turned("y", values, turn.mT)
        if data.get("grid_shape") is None or len(values) != data.num_nodes:
            return found
        order, _ = grid_order(data, turn)
        return torch.empty_like(found).index_copy(0, order, found)

    def _centers(self, data: Data) -> Tensor:
        """Of each node's sample, ``[N, D]`` or ``[1, D]``."""
        pos, batch = data.pos.detach().double(), data.get("batch")
        if self.center is not None:
            if len(self.center) != pos.shape[1]:
                raise ValueError(f"center={self.center} has {len(self.center)} numbers; the sample is {pos.shape[1]}D")
            return pos.new_tensor(self.center)[None]
        if batch is None:
            return ((pos.amin(0) + pos.amax(0)) / 2)[None]
        return ((scatter(pos, batch, reduce="min") + scatter(pos, batch, reduce="max")) / 2)[batch]

    def _check(self, data: Data) -> None:
        keys = data.get("edge_key") or OWN
        made = any(key != OWN for key in ([keys] if isinstance(keys, str) else keys))
        if made or any(data.get(name) is not None for name in ("patch_index", "tile_bits", "mode_key")):
            raise ValueError(
                "the sample was prepared: its patches, edges or modes are those of its positions; move it before "
                "model.prepare"
            )
        missing = [name for name in self.components.names if name != "y" and data.get(name) is None]
        if missing:
            raise ValueError(f"columns of {missing} are named; the sample has {sorted(data.keys())}")

    def __repr__(self) -> str:
        group = self.group if isinstance(self.group, str) else f"{len(self.group)} matrices"
        return f"{self.__class__.__name__}({group!r}, shift={self.shift}, scale={self.scale})"


def _reordered(data: Data, order: Tensor, shape: tuple[int, ...] | None, nodes: int) -> Data:
    """The nodes of a grid in another order, and all that names them (changes ``data``)."""
    place = torch.empty_like(order)
    place[order] = torch.arange(nodes, device=order.device)
    for name, value in data.to_dict().items():
        kind = field_of(name, value, nodes).kind
        if kind == "node" and len(value) == nodes:
            data[name] = value[order]
        elif kind == "cell" or name == "edge_index":
            data[name] = place[value.long()]
    listed = isinstance(data.grid_shape[0], (tuple, list))
    data.grid_shape = [shape] * len(data.grid_shape) if listed else shape
    return data
