"""A mesh sample: PyG ``Data`` that knows how its fields collate."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from .cells import CELLS
from .fields import FIELDS, field_of, is_known
from .inputs import TIME_CHANNELS
from .prepared import made_edges


def _table() -> str:
    rows = [f"    | ``{name}`` | ``{_shape(field.shape)}`` | {field.meaning} |" for name, field in FIELDS.items()]
    return "\n".join(["    | field | shape | meaning |", "    |---|---|---|", *rows])


def _shape(shape: tuple[str | int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]" if shape else "-"


class MeshData(Data):
    __doc__ = f"""One PDE sample on a mesh or a point cloud.

{_table()}
    | any other name | ``[N, ...]`` | a node field of your own, carried along |
    | ``patch_index``, ``tile_bits``, ``edge_key`` ... | | what ``model.prepare`` adds |

    PyG concatenates ``quad``, ``tet`` ... along dimension 0 and does not shift their indices, and takes every name with
    "index" or "batch" in it for node numbers; this class corrects both, so that meshes of different sizes batch.
    """

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if key in CELLS:
            return -1
        return super().__cat_dim__(key, value, *args, **kwargs) if is_known(key) else 0

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if key in CELLS:
            return self.num_nodes
        return super().__inc__(key, value, *args, **kwargs) if is_known(key) else 0

    def subgraph(self, subset: Tensor) -> MeshData:
        """The nodes of ``subset`` (numbers ``[n]``, or flags ``[N]``) with the edges and cells that lie between them.

        What was prepared is left out, to be prepared again, and so are weights that were made from cells and
        ``grid_shape``. PyG's own would leave cells as they are.

        Raises:
            ValueError: for a batch, or a node that is named twice.
        """
        if self.get("batch") is not None:
            raise ValueError("this is a batch; take the subgraphs of its samples (batch.to_data_list())")
        kept = subset.nonzero().flatten() if subset.dtype == torch.bool else subset
        if len(kept.unique()) < len(kept):
            raise ValueError(f"subset names {len(kept)} nodes, {len(kept.unique())} of them different; name each once")
        place = torch.full((self.num_nodes,), -1, device=kept.device)
        place[kept] = torch.arange(len(kept), device=kept.device)
        out = copy.copy(self)
        between = None
        again = {*made_edges(self), *(["weight"] if self.get("weight_key") is not None else [])}
        if self.get("edge_index") is not None:
            between = (place[self.edge_index] >= 0).all(0)
        for name, value in self.to_dict().items():
            kind = field_of(name, value, self.num_nodes).kind
            if kind == "prepared" or name in again or name == "grid_shape":
                del out[name]
            elif kind == "node" and len(value) == self.num_nodes:
                out[name] = value[kept]
            elif kind == "cell":
                corners = place[value.long()]
                out[name] = corners[:, (corners >= 0).all(0)]
            elif kind == "edge":
                out[name] = place[value][:, between] if name == "edge_index" else value[between]
        return out

    @property
    def cells(self) -> dict[str, Tensor]:
        """The cell fields that are present and not empty, ``{"face": [3, T], ...}``."""
        return {name: self[name] for name in CELLS if self.get(name) is not None and self[name].numel()}

    @property
    def in_channels(self) -> int:
        """The inputs of a model: channels of ``x``, of ``theta``, and of the features of ``time``."""
        fields = sum(self[name].shape[-1] for name in ("x", "theta") if self.get(name) is not None)
        return fields + (0 if self.get("time") is None else TIME_CHANNELS)


def with_equal_cells(samples: Sequence[MeshData]) -> list[MeshData]:
    """The samples with the same types of cells in each: none of a type where a sample has none of it.

    PyG collates the fields of the first sample, and needs them in all. Samples that lack nothing are handed out as
    they are, others as shallow copies.
    """
    present = [name for name in CELLS if any(sample.get(name) is not None for sample in samples)]
    found = []
    for sample in samples:
        missing = [name for name in present if sample.get(name) is None]
        if missing:
            sample = copy.copy(sample)
            for name in missing:
                sample[name] = torch.empty(CELLS[name].corners, 0, dtype=torch.long, device=sample.pos.device)
        found.append(sample)
    return found
