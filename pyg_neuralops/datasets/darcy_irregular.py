"""``DarcyIrregular``: flow through a random two-phase medium on random domains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from ..solvers.triangles import boundary_edges
from .pde_dataset import PDEDataset


class DarcyIrregular(PDEDataset):
    r"""Darcy flow on a unit square with a notch, a hole, or both: :math:`-\nabla\cdot(a \nabla u) = 1`, u = 0.

    Domain, mesh and medium differ in every sample. From a (12 or 3) and the mark of the boundary (1 on it, 0
    inside; ``x [N, 2]``) to u (``y [N, 1]``) at the vertices of a triangulation (``face``); u vanishes on the
    whole boundary. Generated; errors are not comparable with published tables.

    Args:
        root: folder of the set; ``datasets/darcy-irregular`` below the current folder when None.
        split: "train", "val" or "test".
        points: N, about; it varies from sample to sample.
        refine: uniform refinements of the mesh on which the equation is solved.
        grading: by how much the spacing of the points varies within a sample, such as 4: fine at a random place,
            so many times wider far from it; 0 for one spacing. ``weight`` then varies by its square.
        options: ``num_samples=None`` (1200), ``seed=0``, ``source="auto"``, ``protocol="standard"``, ``transform``,
            ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "darcy-irregular"
    version = 3
    symmetry: ClassVar = {"group": "square"}
    solver = "pyg_neuralops.solvers.darcy_irregular:sample_darcy_irregular"
    packages = ("numpy", "scipy", "scikit-fem")
    names: ClassVar = {"pos": ("x", "y"), "x": ("coefficient", "boundary"), "y": ("solution",)}
    units: ClassVar = {"pos": ("1", "1"), "x": ("1", "1"), "y": ("1",)}

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        points: int = 730,
        refine: int = 1,
        grading: float = 0,
        **options: Any,
    ):
        if points < 100 or refine < 0:
            raise ValueError(f"points={points}, refine={refine}; they must be at least 100 and 0")
        if grading and not 1 <= grading <= 10:
            raise ValueError(f"grading={grading}; it must be 0, or a ratio of spacings from 1 to 10")
        graded = {"grading": float(grading)} if grading else {}  # files without it keep their name
        super().__init__({"points": points, "refine": refine, **graded}, root, split, **options)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        # GNNs on the mesh have no other way to tell where u = 0 is imposed (a node type, Pfaff et al. 2021).
        mark = np.zeros(len(arrays["points"]))
        mark[boundary_edges(arrays["triangles"])] = 1
        x = np.stack([arrays["a"], mark], 1)
        fields = {"pos": arrays["points"], "x": x, "y": arrays["u"][:, None]}
        tensors = {name: torch.from_numpy(value).float() for name, value in fields.items()}
        return MeshData(**tensors, face=torch.from_numpy(arrays["triangles"]).int().t().contiguous())
