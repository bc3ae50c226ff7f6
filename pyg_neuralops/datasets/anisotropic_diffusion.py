"""``AnisotropicDiffusion``: diffusion along a random direction, on random domains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from ..solvers.anisotropic_diffusion import conductivity
from .pde_dataset import PDEDataset


class AnisotropicDiffusion(PDEDataset):
    r"""Diffusion in an anisotropic medium: :math:`-\nabla\cdot(K \nabla u) = 0` on a star with a hole, u = g around.

    :math:`K = R\,\mathrm{diag}(1, 1/\mathrm{ratio})\,R^T` is constant in a sample; domain, mesh, the angle a of
    R, the ratio (log-uniform in [1, max_ratio]) and the boundary data g differ in every sample. From
    ``x [N, 5]``, which is g on the boundary (0 inside), the mark of the boundary (1 or 0), cos 2a, sin 2a (a and
    a + pi are one direction) and log10 of the ratio, to u (``y [N, 1]``) at the vertices ``pos [N, 2]`` of a
    triangulation (``face``). ``conductivity [N, 2, 2]`` is K, for patches that follow it (``transforms.Tensor``).
    Generated; errors are not comparable with published tables.

    Args:
        root: folder of the set; ``datasets/anisotropic-diffusion`` below the current folder when None.
        split: "train", "val" or "test".
        points: N, about; it varies from sample to sample.
        max_ratio: greatest ratio of the two conductivities.
        refine: uniform refinements of the mesh on which the equation is solved, one more at a ratio >= 100.
        options: ``num_samples=None`` (1200), ``seed=0``, ``source="auto"``, ``protocol="standard"``, ``transform``,
            ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "anisotropic-diffusion"
    version = 1
    symmetry: ClassVar = {"group": "mirrors", "odd": {"x": [3]}}  # sin 2a; other turns would mix it with cos 2a
    solver = "pyg_neuralops.solvers.anisotropic_diffusion:sample_anisotropic_diffusion"
    packages = ("numpy", "scipy", "scikit-fem")
    names: ClassVar = {
        "pos": ("x", "y"),
        "x": ("boundary value", "boundary", "cos 2a", "sin 2a", "log10 ratio"),
        "y": ("solution",),
    }
    units: ClassVar = {"pos": ("1", "1"), "x": ("1",) * 5, "y": ("1",)}

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        points: int = 730,
        max_ratio: float = 1000.0,
        refine: int = 1,
        **options: Any,
    ):
        if points < 100 or not max_ratio >= 1 or refine < 0:
            raise ValueError(
                f"points={points}, max_ratio={max_ratio}, refine={refine}; they must be at least 100, 1 and 0"
            )
        # 1000 and 1000.0 make the same samples, so they must make the same file name.
        super().__init__({"points": points, "max_ratio": float(max_ratio), "refine": refine}, root, split, **options)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        angle, ratio, count = float(arrays["angle"]), float(arrays["ratio"]), len(arrays["points"])
        medium = np.tile([np.cos(2 * angle), np.sin(2 * angle), np.log10(ratio)], (count, 1))
        fields = {
            "pos": arrays["points"],
            "x": np.column_stack([arrays["g"], arrays["boundary"], medium]),
            "y": arrays["u"][:, None],
            "conductivity": np.tile(conductivity(angle, ratio), (count, 1, 1)),
        }
        tensors = {name: torch.from_numpy(value).float() for name, value in fields.items()}
        return MeshData(**tensors, face=torch.from_numpy(arrays["triangles"]).int().t().contiguous())
