"""``Standardize``: a user's sample in the form that models, tasks and metrics expect."""

from __future__ import annotations

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from ..data import as_mesh_data, with_weights


@functional_transform("standardize")
class Standardize(BaseTransform):
    """A checked :class:`MeshData` with real fields in one type and quadrature weights from its cells.

    What a study does to every sample before anything else. Node fields of any name, ``theta``, ``time`` and the user's
    own edges are kept.

    Args:
        dtype: of real fields.
        weights: whether ``weight`` is made from cells where there are any and it is not there yet.

    Raises:
        ValueError: as :func:`pyg_neuralops.data.as_mesh_data`.
    """

    def __init__(self, dtype: torch.dtype = torch.float32, *, weights: bool = True):
        self.dtype, self.weights = dtype, weights

    def forward(self, data: Data) -> Data:
        data = as_mesh_data(data, self.dtype)
        return with_weights(data) if self.weights else data

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.dtype}, weights={self.weights})"
