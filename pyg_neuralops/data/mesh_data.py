"""A mesh sample: PyG ``Data`` that knows how cells, patches and tiles collate."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from .inputs import TIME_CHANNELS

CELLS = {"face": 3, "quad": 4, "tet": 4}
"""Cell fields and the number of corners of one cell; each is stored as ``[corners, cells]``."""


class MeshData(Data):
    """One PDE sample on a mesh or a point cloud.

    | field | shape | meaning |
    |---|---|---|
    | ``pos`` | ``[N, D]`` | positions in raw units, D = 1, 2 or 3 |
    | ``x`` | ``[N, F]`` | input fields at the nodes (absent for shape-only problems) |
    | ``y`` | ``[N, O]`` | target fields at the nodes |
    | ``face``, ``quad``, ``tet`` | ``[3, T]``, ``[4, Q]``, ``[4, T]`` | cells, as node indices |
    | ``theta`` | ``[1, P]`` | global parameters of the sample |
    | ``time`` | ``[1]`` | time of the sample |
    | ``weight`` | ``[N]`` | nodal quadrature weight |
    | ``wind``, ``conductivity`` | ``[N, D]``, ``[N, D, D]`` | fields that patch metrics read |
    | ``grid_shape`` | tuple | nodes per axis of a structured grid; collates to a list of tuples |
    | ``edge_index``, ``edge_attr`` | ``[2, E]``, ``[E, A]`` | mesh edges (``transforms.MeshEdges``) |
    | ``patch_index``, ``patch_reach`` | ``[2, E]``, ``[N]`` | KNN patches (``transforms.KNNPatches``) |

    PyG concatenates ``quad`` and ``tet`` along dimension 0 and does not shift their indices; this class
    corrects both, so that meshes of different sizes batch.
    """

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if key in CELLS:
            return -1
        return super().__cat_dim__(key, value, *args, **kwargs)

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if key in CELLS:
            return self.num_nodes
        return super().__inc__(key, value, *args, **kwargs)

    @property
    def cells(self) -> dict[str, Tensor]:
        """The cell fields that are present, ``{"face": [3, T], ...}``."""
        return {name: self[name] for name in CELLS if self.get(name) is not None}

    @property
    def in_channels(self) -> int:
        """The inputs of a model: channels of ``x``, of ``theta``, and of the features of ``time``."""
        fields = sum(self[name].shape[-1] for name in ("x", "theta") if self.get(name) is not None)
        return fields + (0 if self.get("time") is None else TIME_CHANNELS)
