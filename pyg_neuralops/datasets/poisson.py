"""``Poisson``: Poisson's equation on tetrahedra, with as many points as wanted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from ..solvers.poisson import MODES
from .pde_dataset import PDEDataset


class Poisson(PDEDataset):
    r"""Poisson's equation in a deformed cube: :math:`-\Delta u = f`, u given on the boundary; for large meshes.

    The solution is :math:`u = \sin(k \cdot x) + x y`; deformation, inner points and k differ in every sample.
    From ``x [N, 3]``, which is f, u on the boundary (0 inside) and the mark of the boundary (1 or 0), to u
    (``y [N, 1]``) at the vertices ``pos [N, 3]`` of tetrahedra (``tet``), N = per_side³. The default of 11 per
    side is meant for training on a laptop; 21, 46 and 99 give 9,261, 97,336 and 970,299 points, best read with
    ``on_disk=True``. Generated; errors are not comparable with published tables.

    Args:
        root: folder of the set; ``datasets/poisson`` below the current folder when None.
        split: "train", "val" or "test".
        per_side: points along a side of the cube.
        mode: "exact" takes u as it is; "fem" solves with linear elements, whose error is part of y.
        jitter: of the inner points, in spacings.
        options: ``num_samples=None`` (300), ``seed=0``, ``source="auto"``, ``protocol="standard"``, ``transform``,
            ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "poisson"
    version = 1
    symmetry: ClassVar = {"group": "square"}
    solver = "pyg_neuralops.solvers.poisson:sample_poisson"
    names: ClassVar = {"pos": ("x", "y", "z"), "x": ("source", "boundary value", "boundary"), "y": ("solution",)}
    units: ClassVar = {"pos": ("1", "1", "1"), "x": ("1", "1", "1"), "y": ("1",)}
    part_size = 1  # a sample may have a million points
    num_default = (250, 50)

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        per_side: int = 11,
        mode: str = "exact",
        jitter: float = 0.2,
        **options: Any,
    ):
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}; choose from {list(MODES)}")
        if per_side < 3 or not 0 <= jitter < 0.5:
            raise ValueError(f"per_side={per_side}, jitter={jitter}; they must be at least 3 and in [0, 0.5)")
        # 0 and 0.0 make the same samples, so they must make the same file name.
        super().__init__({"per_side": per_side, "mode": mode, "jitter": float(jitter)}, root, split, **options)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        x = np.column_stack([arrays["f"], arrays["g"], arrays["boundary"]])
        fields = {"pos": arrays["points"], "x": x, "y": arrays["u"][:, None]}
        tensors = {name: torch.from_numpy(value).float() for name, value in fields.items()}
        return MeshData(**tensors, tet=torch.from_numpy(arrays["tetrahedra"]).int().t().contiguous())
