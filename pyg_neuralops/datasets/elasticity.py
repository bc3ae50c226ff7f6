"""``Elasticity``: stress in a pulled hyperelastic cell with a void, from its shape alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..data import MeshData
from ..solvers.elasticity import check_sizes
from ..solvers.unit_cell import CENTRE
from .mirrors import MIRROR_X
from .pde_dataset import PDEDataset

XY_FILE, STRESS_FILE = "Random_UnitCell_XY_10.npy", "Random_UnitCell_sigma_10.npy"
OFFICIAL_POINTS = 972
TRACTION = 100.0  # of the official samples, Pa
INSPECTED = 16
"""Official samples of a stream whose stresses are looked at."""


class Elasticity(PDEDataset):
    r"""A cell of 1 m x 1 m with a random void, clamped below and pulled upwards: :math:`\nabla \cdot (F S) = 0`.

    Plane stress, incompressible Rivlin-Saunders material, :math:`S = 2\, \partial W / \partial C` with
    :math:`W = C_1 (I_1 - 3) + C_2 (I_2 - 3)`. From the shape, which is all in the nodes (``pos [N, 2]``; there is no
    ``x``), to the von Mises stress (``y [N, 1]``), N = points, in every sample the same number. Generated samples
    have triangles (``face``). The set-up is that of Li et al., "Fourier Neural Operator with Learned Deformations
    for PDEs on General Geometries" (arXiv:2207.05209). Generated; errors are not comparable with published tables.
    With the official files in ``root/raw``, see :class:`.pde_dataset.PDEDataset`, the samples are the published
    ones: 972 points without cells.

    Args:
        root: folder of the set; ``datasets/elasticity`` below the current folder when None.
        split: "train", "val" or "test".
        points: N of generated samples, exactly; at least 200.
        refine: uniform refinements of the mesh on which the equation is solved.
        refine_void: further refinements of its triangles at the void.
        traction: pull on the top side of generated samples, Pa. 100, as published, is all but linear; 5e4 is not.
        options: ``num_samples=None`` (300; 1200 official ones), ``seed=0``, ``source="auto"``,
            ``protocol="standard"``, ``transform``, ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see
            :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "elasticity"
    version = 1
    symmetry: ClassVar = {"group": MIRROR_X}
    solver = "pyg_neuralops.solvers.elasticity:sample_elasticity"
    packages = ("numpy", "scipy", "scikit-fem")
    num_default = (250, 50)
    names: ClassVar = {"pos": ("x", "y"), "y": ("von_mises_stress",)}
    units: ClassVar = {"pos": ("m", "m"), "y": ("Pa",)}
    official_files = (XY_FILE, STRESS_FILE)
    official_counts = (1000, 200)
    official_test = "last"

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        points: int = 972,
        refine: int = 1,
        refine_void: int = 1,
        traction: float = 100.0,
        **options: Any,
    ):
        check_sizes(points, refine, refine_void)
        sizes = {"points": points, "refine": refine, "refine_void": refine_void}
        super().__init__({**sizes, "traction": float(traction)}, root, split, **options)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        cells = {}
        if "triangles" in arrays:
            cells["face"] = torch.from_numpy(arrays["triangles"]).int().t().contiguous()
        return MeshData(
            y=torch.from_numpy(arrays["von_mises"][:, None]).float(),
            pos=torch.from_numpy(arrays["points"]).float(),
            **cells,
        )

    def count_official(self, files: Mapping[str, Path]) -> int:
        return _open(files)[0].shape[-1]

    def read_official(self, files: Mapping[str, Path], rows: range) -> Iterator[MeshData]:
        xy, stress = _open(files)
        some = np.linspace(rows.start, rows.stop - 1, min(len(rows), INSPECTED)).astype(int)
        # Samples are the last axis: each column of a file is read from all over it, so the stream is read at once.
        points = np.ascontiguousarray(xy[..., rows.start : rows.stop].transpose(2, 0, 1), float)
        values = np.ascontiguousarray(stress[:, rows.start : rows.stop].T, float)
        for row, at, value in zip(rows, points, values, strict=True):
            check_cell(at, value, f"{files[XY_FILE].parent}, sample {row}")
        inspected = [(points[row - rows.start], values[row - rows.start]) for row in some]
        check_stress(inspected, str(files[STRESS_FILE]))
        for at, value in zip(points, values, strict=True):
            yield self.to_mesh({"points": at, "von_mises": value})


def _open(files: Mapping[str, Path]) -> list[np.ndarray]:
    """The two official arrays, memory-mapped, of the shapes they should have.

    Raises:
        ValueError: for a file that is truncated, not of numpy or of another shape; says which.
    """
    arrays = []
    for name in (XY_FILE, STRESS_FILE):
        try:
            arrays.append(np.load(files[name], mmap_mode="r", allow_pickle=False))
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(
                f"{files[name]} is not a readable file of numbers (truncated or foreign): {error}"
            ) from None
    count = arrays[0].shape[-1] if arrays[0].ndim else 0
    expected = {XY_FILE: (OFFICIAL_POINTS, 2, count), STRESS_FILE: (OFFICIAL_POINTS, count)}
    for (name, shape), array in zip(expected.items(), arrays, strict=True):
        if array.shape != shape or array.dtype.kind != "f":
            raise ValueError(
                f"{files[name]} holds {array.dtype} of shape {list(array.shape)}; expected floating-point numbers, "
                f"[{', '.join(map(str, shape[:-1]))}, {count} samples]"
            )
    return arrays


def check_cell(points: np.ndarray, stress: np.ndarray, label: str) -> None:
    """Refuse what is not the unit cell with a void of radius 0.2 to 0.4 about its centre, or not a stress.

    Args:
        points: ``[N, 2]``.
        stress: ``[N]``.
        label: says which sample it is.

    Raises:
        ValueError: saying what was expected and what was found.
    """
    if not (np.isfinite(points).all() and np.isfinite(stress).all()):
        raise ValueError(f"{label}: values that are not finite")
    low, high = points.min(axis=0), points.max(axis=0)
    if np.abs(low).max() > 1e-3 or np.abs(high - 1).max() > 1e-3:
        raise ValueError(
            f"{label}: x runs from {low[0]:.3g} to {high[0]:.3g}, y from {low[1]:.3g} to {high[1]:.3g}; expected 0 to 1"
        )
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    gap = np.linalg.norm(points - corners[:, None], axis=-1).min(axis=1).max()
    if gap > 1e-2:
        raise ValueError(f"{label}: a corner of the cell is {gap:.2g} from the nearest point; expected a point on it")
    x, y = (points - CENTRE).T
    sector = ((np.arctan2(y, x) / np.pi + 1) * 6).astype(int) % 12
    nearest = [np.hypot(x, y)[sector == k].min(initial=np.inf) for k in range(12)]
    if min(nearest) < 0.19 or max(nearest) > 0.45:
        raise ValueError(
            f"{label}: the points nearest to the centre are {min(nearest):.3g} to {max(nearest):.3g} from it, by "
            "direction; expected the edge of a void, between 0.2 and 0.4"
        )
    if stress.min() < 0:
        raise ValueError(f"{label}: the stress falls to {stress.min():.3g}; expected that of von Mises, at least 0")


def check_stress(samples: Sequence[tuple[np.ndarray, np.ndarray]], label: str) -> None:
    """Refuse stresses that are not those of these cells under a vertical pull of 100 Pa.

    What counts is the median over the samples; single ones may be odd.

    Args:
        samples: points and stress of each, as :func:`check_cell` takes them.
        label: says where they come from.

    Raises:
        ValueError: saying what was expected and what was found.
    """
    ratio, force, jump = np.median([stress_measures(*sample) for sample in samples], axis=0)
    # Generated samples have 1.5 to 3.7, 1.1 to 2.8 and 0.12 to 0.16; with another sample's stress, jumps above 0.5.
    if jump > 0.4:
        raise ValueError(
            f"{label}: the stresses of neighbouring points differ by {jump:.2g} of the mean stress; expected about "
            f"0.14. Are points and samples in the order of {XY_FILE}?"
        )
    if ratio < 1.2:
        raise ValueError(
            f"{label}: the stress beside the void is {ratio:.2g} times that above and below it; expected 1.5 to 3.7, "
            "as the pull is vertical. Are the coordinates x and y?"
        )
    if not 0.6 < force < 5:
        raise ValueError(
            f"{label}: the stress beside the void carries {force * TRACTION:.3g} N per m of thickness; expected "
            f"{TRACTION:g} to 280. Is it in Pa?"
        )


def stress_measures(points: np.ndarray, stress: np.ndarray) -> tuple[float, float, float]:
    """Three numbers that say whether ``stress [N]`` fits ``points [N, 2]``.

    Returns:
        The mean stress in the band beside the void over that in the band above and below it; what the former carries
        over the width of the two ligaments, per 100 Pa on the top side, 1 or somewhat more by equilibrium; the median
        difference between a point and its nearest neighbour over the mean.
    """
    x, y = np.abs(points - CENTRE).T
    beside, above = (stress[at < 0.1].mean() for at in (y, x))
    edges = [x[(y < 0.1) & side].min() for side in (points[:, 0] < CENTRE, points[:, 0] > CENTRE)]
    neighbour = cKDTree(points).query(points, k=2)[1][:, 1]
    jump = np.median(np.abs(stress - stress[neighbour])) / stress.mean()
    return float(beside / above), float(beside * (1 - sum(edges)) / TRACTION), float(jump)
