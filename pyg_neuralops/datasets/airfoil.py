"""``Airfoil``: transonic flow around random airfoils, from the shape alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from ..solvers.euler import require_numba
from .grid import grid_quads
from .mirrors import MIRROR_Y
from .pde_dataset import PDEDataset

OFFICIAL_SHAPE = (221, 51)
CUT, NOSE = 51, 110
"""Nodes of a published grid along a side of the wake cut, tail included, and the node of the nose."""


class Airfoil(PDEDataset):
    r"""Steady Euler flow at Mach 0.8 around deformed NACA-0012 airfoils.

    .. math:: \nabla\cdot(\rho \mathbf v) = 0, \quad \nabla\cdot(\rho \mathbf v \otimes \mathbf v + p I) = 0, \quad
        \nabla\cdot((E + p) \mathbf v) = 0

    with :math:`\gamma = 1.4`, no flow through the airfoil, and a free stream along x of density and pressure 1. A
    shape-only problem: there is no ``x``, the input is where the nodes of a C-grid lie (``pos [N, 2]``, in chords;
    ``quad``, ``grid_shape``), the target the Mach number at the nodes (``y [N, 1]``). Solver and published file give
    it at the nodes; the solver interpolates linearly from the cells. Node (i, j) is row i J + j; i runs around the
    airfoil from behind, over the upper side first, j from the airfoil to the far field 40 chords away. The first
    and the last 5/22 of j = 0 are the two sides of the cut behind the airfoil: their nodes coincide in pairs, with
    one value, so neighbours by distance come in pairs as well.

    The set-up is that of Li et al., "Fourier Neural Operator with Learned Deformations for PDEs on General
    Geometries" (arXiv:2207.05209), published with 221 x 51 nodes: ``resolution=221, iterations=2000``. Official
    ``NACA_Cylinder_X.npy``, ``NACA_Cylinder_Y.npy`` and ``NACA_Cylinder_Q.npy`` below ``root/raw`` are read
    instead. Generated; errors are not comparable with published tables.

    Args:
        root: folder of the set; ``datasets/airfoil`` below the current folder when None.
        split: "train", "val" or "test".
        resolution: nodes around the airfoil and its wake, 22 k + 1 with k >= 2; 5 k + 1 away from it.
        refine: cells of the solve per cell kept, each way.
        iterations: of the solver; 800 suffice for 111 nodes, 2000 for 221.
        options: ``num_samples=None`` (600), ``seed=0``, ``source="auto"``, ``protocol="standard"``, ``transform``,
            ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see :class:`.pde_dataset.PDEDataset`.

    Raises:
        ImportError, ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`; generating needs numba.
    """

    name = "airfoil"
    version = 1
    positions: ClassVar = "quantile"  # the body is an eightieth of the domain
    symmetry: ClassVar = {"group": MIRROR_Y}
    solver = "pyg_neuralops.solvers.airfoil:sample_airfoil"
    packages = ("numpy", "scipy", "numba")
    names: ClassVar = {"pos": ("x", "y"), "y": ("mach_number",)}
    units: ClassVar = {"pos": ("chord", "chord"), "y": ("1",)}
    window: ClassVar = ((-0.5, 1.5), (-0.8, 0.8))
    num_default: ClassVar = (500, 100)
    official_files = ("NACA_Cylinder_X.npy", "NACA_Cylinder_Y.npy", "NACA_Cylinder_Q.npy")
    official_counts = (1000, 200)
    official_test = "next"

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        resolution: int = 111,
        refine: int = 1,
        iterations: int = 800,
        **options: Any,
    ):
        if resolution < 45 or resolution % 22 != 1:
            raise ValueError(f"resolution={resolution}; it must be 22 k + 1 with k >= 2, as 45, 111 or 221")
        if refine < 1 or iterations < 1:
            raise ValueError(f"refine={refine}, iterations={iterations}; they must be at least 1")
        parameters = {"resolution": resolution, "refine": refine, "iterations": iterations}
        super().__init__(parameters, root, split, **options)

    def generate(self, count: int, folder: Path) -> None:
        require_numba()  # here, as a worker process could only report it as a failure
        super().generate(count, folder)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        return _mesh(arrays["points"], arrays["mach"])

    def count_official(self, files: Mapping[str, Path]) -> int:
        return len(_arrays(files)[0])

    def read_official(self, files: Mapping[str, Path], rows: range) -> Iterator[MeshData]:
        x, y, q = _arrays(files)
        for row in rows:
            points, flow = np.stack([x[row], y[row]], -1), np.array(q[row])
            try:
                _check_grid(points)
                _check_flow(flow)
            except ValueError as error:
                raise ValueError(f"sample {row} of the official airfoil files: {error}") from None
            yield _mesh(points, flow[4])


def _mesh(points: np.ndarray, mach: np.ndarray) -> MeshData:
    # The grid runs clockwise, so the corners of a cell are taken the other way round.
    return MeshData(
        pos=torch.from_numpy(points.reshape(-1, 2)).float(),
        y=torch.from_numpy(np.ascontiguousarray(mach).reshape(-1, 1)).float(),
        quad=grid_quads(*mach.shape).flip(0).int(),
        grid_shape=mach.shape,
    )


def _arrays(files: Mapping[str, Path]) -> list[np.ndarray]:
    """X, Y ``[n, 221, 51]`` and Q ``[n, 5, 221, 51]``, memory-mapped.

    Raises:
        ValueError: for other shapes, or files that are no numeric arrays.
    """
    arrays: list[np.ndarray] = []
    for name, channels in zip(Airfoil.official_files, ((), (), (5,)), strict=True):
        try:
            array = np.load(files[name], mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{files[name]} is not a whole numeric .npy file: {error}") from None
        count = len(arrays[0]) if arrays else "n"
        right = array.ndim > 0 and array.shape[1:] == (*channels, *OFFICIAL_SHAPE)
        if not right or array.dtype.kind != "f" or (arrays and len(array) != count):
            expected = ", ".join(str(size) for size in (count, *channels, *OFFICIAL_SHAPE))
            raise ValueError(f"{name} has shape {list(array.shape)} of {array.dtype}; expected [{expected}] of floats")
        arrays.append(array)
    return arrays


def _check_grid(points: np.ndarray) -> None:
    """A C-grid ``[221, 51, 2]`` from behind over the upper side; the cut closed, the chord 1, the far field at 40."""
    if not np.isfinite(points).all():
        raise ValueError("the positions are not finite")
    gap = np.abs(points[:CUT, 0] - points[: -CUT - 1 : -1, 0]).max()
    if gap > 1e-4:
        raise ValueError(f"the nodes of the wake cut at j = 0 should coincide; they are up to {gap:.2g} apart")
    corners = {
        "the upper far end (0, 50)": (points[0, -1], (40, 40)),
        "the lower far end (220, 50)": (points[-1, -1], (40, -40)),
        "the front (110, 50)": (points[NOSE, -1], (-39, 0)),
        "the wake's end (0, 0)": (points[0, 0], (40, 0)),
        "the tail (50, 0), in x,": (points[CUT - 1, 0, :1], (1,)),
        "the nose (110, 0), in x,": (points[NOSE, 0, :1], (0,)),
    }
    for place, (found, expected) in corners.items():
        if np.abs(found - expected).max() > 0.02:
            raise ValueError(f"{place} should lie at {expected}; found {found.round(3).tolist()}")
    upper, lower = points[CUT:NOSE, 0, 1], points[-CUT - 1 : NOSE : -1, 0, 1]
    if not (upper > lower).all() or np.abs(points[CUT:-CUT, 0, 1]).max() > 0.3:
        raise ValueError("the airfoil should lie within 0.3 chords of its axis, its upper side before its lower")


def _check_flow(flow: np.ndarray) -> None:
    """Density, velocity, pressure and their Mach number ``[5, 221, 51]`` around an airfoil in a stream of Mach 0.8."""
    density, u, v, pressure, mach = flow.astype(float)
    if not (np.isfinite(flow).all() and density.min() > 0 and pressure.min() > 0):
        raise ValueError("channels 0 and 3 should be a positive density and pressure, all finite")
    error = np.abs(mach - np.hypot(u, v) / np.sqrt(1.4 * pressure / density)).max()
    if error > 1e-3:
        raise ValueError(
            "channel 4 should be the Mach number of channels 0 to 3, density, u, v and pressure; "
            f"it is off by {error:.2g}"
        )
    far = np.median(flow[:, :, -1].astype(float), axis=1)
    expected = np.array([1, 0.8 * np.sqrt(1.4), 0, 1, 0.8])
    if np.abs(far - expected).max() > 0.03:
        raise ValueError(
            f"the far field should have the medians {expected.round(3).tolist()}; found {far.round(3).tolist()}"
        )
    jump = np.abs(flow[:, :CUT, 0] - flow[:, : -CUT - 1 : -1, 0]).max()
    if jump > 1e-3:
        raise ValueError(f"both sides of the wake cut should have one value; they differ by up to {jump:.2g}")
