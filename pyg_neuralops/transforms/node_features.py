"""``NodeFeatures``: what all transforms share that append channels of the geometry to ``x``."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from ..data import CELLS, MeshData, as_mesh_data


class NodeFeatures(BaseTransform, ABC):
    """Appends :meth:`values` as the last channels of ``x [N, F]``, in the order of :meth:`names`.

    ``x`` is made where it is missing. Applied to samples, before they are batched; each application appends anew.
    """

    @abstractmethod
    def names(self, pos_dim: int) -> tuple[str, ...]:
        """Names of the channels, for samples in ``pos_dim`` dimensions; ``write_hdf5(names=...)`` keeps such."""

    @abstractmethod
    def values(self, data: MeshData) -> Tensor:
        """The channels of one sample, ``[N, C]``."""

    def forward(self, data: Data) -> Data:
        if data.get("batch") is not None:
            raise ValueError(f"{type(self).__name__} is for samples; apply it before they are batched")
        data = as_mesh_data(data)
        made, x = self.values(data).to(data.pos.dtype), data.get("x")
        data.x = made if x is None else torch.cat([x, made], 1)
        return data

    def cells_dim(self, data: MeshData) -> int:
        """The dimension of a sample's cells, the highest where there are several.

        Raises:
            ValueError: if there are none.
        """
        if not data.cells:
            raise ValueError(
                f"{type(self).__name__} needs cells, one of {list(CELLS)}; the sample is a point cloud, which does not "
                "tell where its boundary is"
            )
        return max(CELLS[name].dim for name in data.cells)


def axes(pos_dim: int) -> str:
    """Letters of the axes, for names of channels."""
    return "xyz"[:pos_dim]


def one_column(data: MeshData, name: str, who: str) -> Tensor:
    """The node field ``name`` as flags: where it is not 0. ``-> [N]`` bool

    Raises:
        ValueError: if the sample has no such field of one value a node.
    """
    value = data.get(name)
    if not isinstance(value, Tensor) or value.numel() != data.num_nodes or len(value) != data.num_nodes:
        found = "is missing" if value is None else f"has shape {list(getattr(value, 'shape', []))}"
        raise ValueError(f"{who} reads the mark {name!r}, which {found}; a node field [{data.num_nodes}] is needed")
    return value.reshape(-1) != 0
