"""What a sample may hold, in one table that files, checks and batches read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .cells import CELLS


@dataclass(frozen=True)
class Field:
    """One field of a sample.

    Attributes:
        kind: "node" (a row a node), "cell" (a column a cell), "edge" (the user's own graph), "global" (a row a
            sample), "static" (no tensor) or "prepared" (made by a model's ``prepare``; never stored).
        shape: of one sample; N nodes, D space, E edges, letters of its own otherwise.
        real: whether values are real numbers that become the model's float type; node numbers otherwise.
        meaning: in a line.
    """

    kind: str
    shape: tuple[str | int, ...]
    meaning: str
    real: bool = True


FIELDS: dict[str, Field] = {
    "pos": Field("node", ("N", "D"), "positions in raw units, D = 1, 2 or 3"),
    "x": Field("node", ("N", "F"), "input fields at the nodes (absent for shape-only problems)"),
    "y": Field("node", ("N", "O"), "target fields at the nodes, or [1, O]: numbers of the whole sample"),
    "weight": Field("node", ("N",), "nodal quadrature weight"),
    "wind": Field("node", ("N", "D"), "velocity that patches and edges may follow (transforms.Upwind)"),
    "conductivity": Field("node", ("N", "D", "D"), "tensor that patches and edges may follow"),
    **{
        name: Field("cell", (cell.corners, "cells"), "cells, as node numbers", real=False)
        for name, cell in CELLS.items()
    },
    "edge_index": Field("edge", (2, "E"), "edges of a graph of your own, row 0 the source", real=False),
    "edge_attr": Field("edge", ("E", "A"), "attributes of these edges"),
    "theta": Field("global", (1, "P"), "global parameters of the sample"),
    "time": Field("global", (1,), "time of the sample"),
    "grid_shape": Field("static", (), "nodes per axis of a structured grid, a tuple", real=False),
    "split": Field("static", (), '"train", "val" or "test"', real=False),
    "source": Field("static", (), "where the sample comes from", real=False),
}
"""Fields by name. A tensor of any other name with a row a node is a node field too: it is carried through files,
batches and subsets, and read by who knows its name, such as ``transforms.Upwind("velocity")``."""

PATCHES = (
    *("patch_index", "patch_reach", "patch_radius", "patch_period", "patch_key"),
    *("tile_query_index", "tile_key_index", "tile_num_queries", "tile_num_keys", "tile_bits", "tile_reach"),
)
"""What ``KNNPatches`` writes."""
MODES = ("mode_values", "mode_weight", "eigenvalues", "mode_key")
"""What ``LaplacianModes`` writes."""
RESERVED = ("batch", "ptr", "num_nodes", "coords", "settled", "y_scale")
"""What batches, models and tasks write on copies of samples; no sample that is stored has them."""
PREPARED = frozenset([*PATCHES, *MODES, *RESERVED, "edge_key", "weight_key"])
_PREPARED = Field("prepared", (), "made by prepare", real=False)
_NODE = Field("node", ("N", "..."), "a node field of your own")


def is_text(name: str) -> bool:
    """Whether a field is a word about the sample, not a number."""
    return name in ("split", "source")


def is_known(name: str) -> bool:
    """Whether ``name`` has a meaning of its own; what has not is a node field."""
    return name in FIELDS or name in PREPARED


def field_of(name: str, value: Any, num_nodes: int) -> Field:
    """The field that an attribute of a sample of ``num_nodes`` nodes is.

    Raises:
        ValueError: for an attribute that is neither in the table nor a node field.
    """
    if name in FIELDS:
        return FIELDS[name]
    if is_known(name):
        return _PREPARED
    if isinstance(value, Tensor) and value.dim() > 0 and value.shape[0] == num_nodes:
        return _NODE
    found = f"shape {list(value.shape)}" if isinstance(value, Tensor) else f"type {type(value).__name__}"
    raise ValueError(
        f"{name} has {found}; a field of a name of your own is a tensor [{num_nodes}, ...] with a row a node, and the "
        f"other names are {list(FIELDS)}"
    )
