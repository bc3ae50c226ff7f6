"""``Darcy``: flow through a random two-phase medium on the unit square."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from ..solvers.darcy import solve_darcy
from .grid import unit_grid
from .matlab import matlab_shapes, read_matlab
from .pde_dataset import PDEDataset

FILES = {"train": "piececonst_r421_N1024_smooth1.mat", "test": "piececonst_r421_N1024_smooth2.mat"}
SIZE = 421  # nodes per side in the official files
CHECK = 5  # stride of the check by a solve, 85 nodes per side


class Darcy(PDEDataset):
    r"""Darcy flow on the unit square: :math:`-\nabla\cdot(a \nabla u) = 1`, u = 0 on the boundary.

    The sign of a Gaussian random field chooses a = 12 or a = 3. From a (``x [N, 1]``) to u (``y [N, 1]``) at
    the nodes of a grid (``quad``, ``grid_shape``), N = resolution². The set-up is that of Li et al., "Fourier
    Neural Operator for Parametric Partial Differential Equations" (arXiv:2010.08895), where 421² nodes are
    solved and every fifth is kept. Generated; errors are not comparable with published tables. With the two
    official files in ``root/raw``, see :class:`.pde_dataset.PDEDataset`, the samples are the published ones.

    Args:
        root: folder of the set; ``datasets/darcy`` below the current folder when None.
        split: "train", "val" or "test".
        resolution: nodes kept per side, boundary included; official files have 421, every n-th of which is kept.
        refine: steps of the solve per step kept; the solve has ``(resolution - 1) * refine + 1`` nodes a side.
        options: ``num_samples=None`` (1200), ``seed=0``, ``source="auto"``, ``protocol="standard"``, ``transform``,
            ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "darcy"
    version = 2
    symmetry: ClassVar = {"group": "square"}
    solver = "pyg_neuralops.solvers.darcy:sample_darcy"
    names: ClassVar = {"pos": ("x", "y"), "x": ("coefficient",), "y": ("solution",)}
    units: ClassVar = {"pos": ("1", "1"), "x": ("1",), "y": ("1",)}
    official_files = tuple(FILES.values())
    official_counts = (1000, 200)
    official_test = "first"
    official_parameters = ("resolution",)

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

    def count_official(self, files: Mapping[str, Path]) -> int:
        path = files[FILES[self.stream]]
        shapes = {name: matlab_shapes(path).get(name, ()) for name in ("coeff", "sol")}
        if shapes["coeff"] != shapes["sol"] or shapes["coeff"][1:] != (SIZE, SIZE):
            found = ", ".join(f"{name} has shape {list(shape)}" for name, shape in shapes.items())
            raise ValueError(f"{path}: {found}; expected [samples, {SIZE}, {SIZE}] for both")
        return shapes["coeff"][0]

    def read_official(self, files: Mapping[str, Path], rows: range) -> Iterator[MeshData]:
        stride, rest = divmod(SIZE - 1, self.parameters["resolution"] - 1)
        if rest:
            allowed = [(SIZE - 1) // step + 1 for step in range(1, SIZE - 1) if (SIZE - 1) % step == 0]
            raise ValueError(
                f"resolution={self.parameters['resolution']}; of the official {SIZE} nodes per side one of {allowed} "
                "can be kept; source='generated' for others"
            )
        path, common = files[FILES[self.stream]], math.gcd(stride, CHECK)
        index = (slice(rows.start, rows.stop), slice(None, None, common), slice(None, None, common))
        fields = [read_matlab(path, name, index) for name in ("coeff", "sol")]  # [samples, x, y]
        kept, check = slice(None, None, stride // common), slice(None, None, CHECK // common)
        for row, a, u in zip(rows, *fields, strict=True):
            check_flow(a[check, check].astype(float), u[check, check].astype(float), f"{path}, sample {row}")
            yield self.to_mesh({"a": a[kept, kept].copy(), "u": u[kept, kept].copy()})


def check_flow(a: np.ndarray, u: np.ndarray, label: str) -> None:
    """Refuse what is not this flow: other numbers, fields swapped or of unlike axes, another source or unit.

    Our solution on the nodes given is within 0.6% of one on 421² nodes, within 0.8% of one made the published way
    (coefficients and solution moved between centres and nodes of the cells by splines, arithmetic means; 24
    samples), where u is up to 1.4% of its maximum half a cell inside the boundary. Axes swapped or reversed make 7%
    and more.

    Args:
        a, u: coefficient and solution ``[S, S]``.
        label: says which sample it is.

    Raises:
        ValueError: saying what was expected and what was found.
    """
    values = np.unique(a)
    if not np.isin(values, (3.0, 12.0)).all():
        raise ValueError(f"{label}: coeff has {len(values)} values from {values[0]:.3g} to {values[-1]:.3g}; 3 and 12")
    edge = np.concatenate([u[[0, -1]].ravel(), u[:, [0, -1]].ravel()])
    if not (u.min() >= -1e-6 and u.max() > 0 and np.abs(edge).max() <= 0.04 * u.max()):
        raise ValueError(
            f"{label}: sol is {u.min():.2g} to {u.max():.2g}, on the boundary up to {np.abs(edge).max():.2g}; "
            "expected at least 0, and at most 4% of the maximum on the boundary"
        )
    expected = solve_darcy(a).u
    error = np.linalg.norm(u - expected) / np.linalg.norm(expected)
    if not error <= 0.03:
        raise ValueError(
            f"{label}: sol is {100 * error:.0f}% off the solution of -div(coeff grad u) = 1 on {len(a)}² nodes; at "
            "most 3% expected"
        )
