"""``Plasticity``: a block of metal forged by a die of random shape."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from .grid import grid_quads
from .matlab import matlab_shapes, read_matlab
from .pde_dataset import PDEDataset

FILE = "plas_N987_T20.mat"
ARRAYS = ("input", "output")
FRAMES, CHANNELS = 20, ("x", "y", "ux", "uy")
OFFICIAL_GRID = (101, 31)
SPACING = 0.5  # mm, of the official grid
PROBED = 64  # official samples from which the order of the die's points is read


class Plasticity(PDEDataset):
    r"""A block of 50 x 15 mm, clamped at its bottom, is forged by a rigid die that comes down without friction.

    Momentum :math:`\rho \ddot{u} = \nabla\cdot\sigma` in plane stress at finite strain, with elastic, perfectly
    plastic (J2) metal. One sample is one trajectory: from the die's height above a node's column at the start
    (``x [N, 1]``), broadcast down the rows, to x, y, ux and uy at 20 times (``y [N, 80]``, column ``4 t + c`` for
    channel c at time t), at the nodes of a grid with initial positions ``pos [N, 2]`` (``quad``, ``grid_shape``),
    N = columns * rows. Node (i, j) is row ``i * rows + j``, i from the left and j from below. The set-up is that of
    Li et al., "Fourier Neural Operator with Learned Deformations for PDEs on General Geometries"
    (arXiv:2207.05209), with our own dies. Generated; errors are not comparable with published tables.

    Official: ``plas_N987_T20.mat`` with ``input [n, 101]`` and ``output [n, 101, 31, 20, 4]``, turned to the order
    of nodes above and with every sample checked; see :meth:`read_official`.

    Args:
        root: folder of the set; ``datasets/plasticity`` below the current folder when None.
        split: "train", "val" or "test".
        columns, rows: nodes along x and y. The published grid has 101 x 31.
        density_scale: factor of the density of steel, declared: inertia grows with it, and time steps get fewer.
        options: ``num_samples=None`` (240), ``seed=0``, ``source="auto"``, ``protocol="standard"``, ``transform``,
            ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, FileNotFoundError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "plasticity"
    version = 1
    solver = "pyg_neuralops.solvers.plasticity:sample_plasticity"
    names: ClassVar = {
        "pos": ("x", "y"),
        "x": ("die",),
        "y": tuple(f"{channel}@{time}" for time in range(1, FRAMES + 1) for channel in CHANNELS),
    }
    units: ClassVar = {"pos": ("mm", "mm"), "x": ("mm",), "y": ("mm",) * (FRAMES * len(CHANNELS))}
    part_size = 4
    task: ClassVar = {"name": "time-query", "times": 20}
    num_default = (200, 40)
    official_files = (FILE,)
    official_counts = (900, 80)
    official_test = "last"

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        columns: int = 51,
        rows: int = 16,
        density_scale: float = 4.0,
        **options: Any,
    ):
        if min(columns, rows) < 2 or not density_scale > 0:
            raise ValueError(
                f"columns={columns}, rows={rows}, density_scale={density_scale}; "
                "they must be at least 2, at least 2, and positive"
            )
        parameters = {"columns": columns, "rows": rows, "density_scale": float(density_scale)}
        super().__init__(parameters, root, split, **options)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        trajectory = arrays["trajectory"]  # [C, R, 20, 4]
        columns, rows = trajectory.shape[:2]
        start = trajectory[:, :, 0, :2] - trajectory[:, :, 0, 2:]
        fields = {
            "x": np.repeat(arrays["die"], rows)[:, None],
            "y": trajectory.reshape(columns * rows, -1),
            "pos": start.reshape(-1, 2),
        }
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)).float() for name, value in fields.items()}
        return MeshData(**tensors, quad=grid_quads(columns, rows).int(), grid_shape=(columns, rows))

    def count_official(self, files: Mapping[str, Path]) -> int:
        shapes = matlab_shapes(files[FILE])
        count = shapes.get("input", (0,))[0]
        expected = {"input": (count, OFFICIAL_GRID[0]), "output": (count, *OFFICIAL_GRID, FRAMES, len(CHANNELS))}
        found = {name: shapes.get(name) for name in expected}
        if found != expected:
            raise ValueError(f"{files[FILE]} holds arrays of shapes {found}; expected {expected}")
        return count

    def read_official(self, files: Mapping[str, Path], rows: range) -> Iterator[MeshData]:
        """The samples ``rows``, their nodes in the order of the generated ones and in the file's coordinates.

        In the file nodes go from right to left and from the top down, whereas the die's points may go from left to
        right; initial positions are positions less displacements, and the die is given by its heights in the
        coordinates of the block (the card says where this is known from). None of it is taken for granted: that
        x - ux and y - uy are a grid of 0.5 mm which does not move, that the bottom does not sink, that cells do not
        turn over and that the top goes down is checked in every sample; which way the die's points go, and that their
        heights are the block's coordinates, is read from how the dies press into 64 blocks.

        Raises:
            ValueError: saying what was expected and what was found.
        """
        path, part = files[FILE], (slice(rows.start, rows.stop),)
        dies, output = (read_matlab(path, name, part) for name in ARRAYS)
        if len(rows) < PROBED:
            backward = _die_goes_backward(path, *(read_matlab(path, name, (slice(PROBED),)) for name in ARRAYS))
        else:
            backward = _die_goes_backward(path, dies[:PROBED], output[:PROBED])
        for row, die, one in zip(rows, dies, output, strict=True):
            trajectory = _in_order(path, one, row)
            top = (trajectory[..., 1] - trajectory[..., 3])[0, -1, 0]
            height = (die[::-1] if backward else die).astype(float) - top
            yield self.to_mesh({"die": height, "trajectory": trajectory})


def _in_order(path: Path, trajectory: np.ndarray, row: int) -> np.ndarray:
    """A trajectory ``[101, 31, 20, 4]`` checked, its columns from the left and its rows from below."""

    def check(fine: bool | np.bool_, expected: str) -> None:
        if not fine:
            raise ValueError(f"sample {row} of {path}: expected {expected}")

    check(np.isfinite(trajectory).all(), "finite numbers")
    trajectory = trajectory.astype(float)
    starts = trajectory[..., :2] - trajectory[..., 2:]  # [101, 31, 20, 2]
    drift = np.abs(starts - starts[:, :, :1]).max()
    check(drift < 1e-2, f"positions less displacements (channels 0, 1 less 2, 3) that do not move; by {drift:.3g} mm")
    start = starts[:, :, 0]
    for axis in (0, 1):
        if start[-1, -1, axis] < start[0, 0, axis]:
            trajectory, start = np.flip(trajectory, axis), np.flip(start, axis)
    ideal = start[0, 0] + SPACING * np.stack(np.meshgrid(*map(np.arange, OFFICIAL_GRID), indexing="ij"), -1)
    error = np.abs(start - ideal).max()
    check(error < 1e-2, f"an initial grid of {SPACING} mm, x along axis 0 and y along axis 1; it is off by {error:.3g}")
    sunk = np.abs(trajectory[:, 0, :, 3]).max()
    check(sunk < 1e-2, f"a bottom that does not sink; it moves by {sunk:.3g} mm along y")
    one = trajectory[1:, 1:, :, :2] - trajectory[:-1, :-1, :, :2]
    two = trajectory[:-1, 1:, :, :2] - trajectory[1:, :-1, :, :2]
    turned = (one[..., 0] * two[..., 1] < one[..., 1] * two[..., 0]).mean()
    check(turned < 0.01, f"cells that do not turn over; {turned:.1%} do")
    sinking = trajectory[:, -1, :, 3].mean(0)  # [20]
    check(
        sinking[-1] < min(sinking[0], -0.1) and np.diff(sinking).max() < 0.1,
        f"a top that goes down all the time; its mean goes from {sinking[0]:.3g} to {sinking[-1]:.3g} mm",
    )
    return trajectory


def _die_goes_backward(path: Path, dies: np.ndarray, output: np.ndarray) -> bool:
    """Whether the points of the dies ``[n, 101]`` go from right to left, by the tops that they have pressed."""
    tops = np.stack([_in_order(path, one, row)[:, -1, -1, 1] for row, one in enumerate(output)])  # [n, 101]
    centred = tops - tops.mean(1, keepdims=True)
    likeness = []
    for order in (dies, dies[:, ::-1]):
        other = order - order.mean(1, keepdims=True)
        likeness.append(float((centred * other).sum() / np.sqrt((centred**2).sum() * (other**2).sum() + 1e-300)))
    if not (max(likeness) > 0.5 and abs(likeness[0] - likeness[1]) > 0.25):
        raise ValueError(
            f"{path}: expected dies whose shape the tops have at the end; the correlation is {likeness[0]:.2f}, "
            f"and {likeness[1]:.2f} from right to left"
        )
    backward = likeness[1] > likeness[0]
    stroke = ((dies[:, ::-1] if backward else dies) - tops).min(1)  # where a die touches, it has gone down by this
    spread = float(np.diff(np.quantile(stroke, [0.1, 0.9]))[0])  # not all: a die may touch where the top has slid to
    if not (0 < np.median(stroke) < 15 and spread < 2):
        raise ValueError(
            f"{path}: expected dies given in the coordinates of the block that all come down as far; found strokes of "
            f"{stroke.min():.3g} to {stroke.max():.3g} mm"
        )
    return backward
