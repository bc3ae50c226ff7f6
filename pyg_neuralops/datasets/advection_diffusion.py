"""``AdvectionDiffusion``: what a random wind carries and diffusion spreads, on random domains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from .pde_dataset import PDEDataset


class AdvectionDiffusion(PDEDataset):
    r"""Advection and diffusion: :math:`b\cdot\nabla u - \varepsilon\Delta u = 0` on a star with a hole.

    Domain, mesh, wind b, diffusivity :math:`\varepsilon` (log-uniform in [1e-4, 1e-1]) and inflow data g differ
    in every sample. :math:`-\varepsilon u_n + b_n u = b_n g` where the wind enters (Danckwerts), and
    :math:`\varepsilon u_n = 0` on the rest of the boundary. From ``x [N, 6]``, the wind (2), log10 of the
    diffusivity, g on the inflow (0 elsewhere), the mark of the inflow and that of the rest of the boundary (1 or
    0), to u (``y [N, 1]``) at the vertices ``pos [N, 2]`` of a triangulation (``face``). ``wind [N, 2]`` is the
    wind once more, for patches that follow it (``transforms.Upwind``).
    Generated; errors are not comparable with published tables.

    Args:
        root: folder of the set; ``datasets/advection-diffusion`` below the current folder when None.
        split: "train", "val" or "test".
        points: N, about; it varies from sample to sample.
        swirl: root mean square of what is added to the unit wind; 0 for a constant wind.
        refine: uniform refinements of the mesh on which the equation is solved, one more at eps <= 1e-3.
        options: ``num_samples=None`` (1200), ``seed=0``, ``source="auto"``, ``protocol="standard"``, ``transform``,
            ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "advection-diffusion"
    version = 1
    symmetry: ClassVar = {"group": "isometries", "vectors": {"x": [(0, 1)]}}
    solver = "pyg_neuralops.solvers.advection_diffusion:sample_advection_diffusion"
    packages = ("numpy", "scipy", "scikit-fem")
    names: ClassVar = {
        "pos": ("x", "y"),
        "x": ("wind x", "wind y", "log10 diffusivity", "inflow value", "inflow", "other boundary"),
        "y": ("concentration",),
    }
    units: ClassVar = {"pos": ("1", "1"), "x": ("1",) * 6, "y": ("1",)}

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        points: int = 730,
        swirl: float = 0.5,
        refine: int = 1,
        **options: Any,
    ):
        if points < 100 or not swirl >= 0 or refine < 0:
            raise ValueError(f"points={points}, swirl={swirl}, refine={refine}; they must be at least 100, 0 and 0")
        # 1 and 1.0 make the same samples, so they must make the same file name.
        super().__init__({"points": points, "swirl": float(swirl), "refine": refine}, root, split, **options)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        inflow, wind = arrays["inflow"], arrays["wind"]
        diffusivity = np.full(len(wind), np.log10(arrays["diffusivity"]))
        x = np.column_stack([wind, diffusivity, arrays["g"], inflow, arrays["boundary"] & ~inflow])
        fields = {"pos": arrays["points"], "x": x, "y": arrays["u"][:, None], "wind": wind}
        tensors = {name: torch.from_numpy(value).float() for name, value in fields.items()}
        return MeshData(**tensors, face=torch.from_numpy(arrays["triangles"]).int().t().contiguous())
