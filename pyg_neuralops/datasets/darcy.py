"""``Darcy``: flow through a random two-phase medium on the unit square."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from .grid import unit_grid
from .pde_dataset import PDEDataset


class Darcy(PDEDataset):
    r"""Darcy flow on the unit square: :math:`-\nabla\cdot(a \nabla u) = 1`, u = 0 on the boundary.

    The sign of a Gaussian random field chooses a = 12 or a = 3. From a (``x [N, 1]``) to u (``y [N, 1]``) at
    the nodes of a grid (``quad``, ``grid_shape``), N = resolution². The set-up is that of Li et al., "Fourier
    Neural Operator for Parametric Partial Differential Equations" (arXiv:2010.08895), where 421² nodes are
    solved and every fifth is kept. Generated; errors are not comparable with published tables.

    Args:
        root: folder of the set; ``datasets/darcy`` below the current folder when None.
        split: "train", "val" or "test".
        resolution: nodes kept per side, boundary included.
        refine: steps of the solve per step kept; the solve has ``(resolution - 1) * refine + 1`` nodes a side.
        options: ``num_samples=None`` (1200), ``seed=0``, ``source="auto"``, ``protocol="standard"``, ``transform``,
            ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "darcy"
    version = 2
    solver = "pyg_neuralops.solvers.darcy:sample_darcy"
    names: ClassVar = {"pos": ("x", "y"), "x": ("coefficient",), "y": ("solution",)}
    units: ClassVar = {"pos": ("1", "1"), "x": ("1",), "y": ("1",)}

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        resolution: int = 85,
        refine: int = 5,
        **options: Any,
    ):
        if resolution < 3 or refine < 1:
            raise ValueError(f"resolution={resolution}, refine={refine}; they must be at least 3 and 1")
        super().__init__({"resolution": resolution, "refine": refine}, root, split, **options)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        shape = arrays["a"].shape
        pos, quad = unit_grid(*shape)
        fields = {"x": arrays["a"], "y": arrays["u"]}
        columns = {name: torch.from_numpy(value.reshape(-1, 1)).float() for name, value in fields.items()}
        return MeshData(**columns, pos=pos, quad=quad.int(), grid_shape=shape)
