"""``NavierStokes``: the vorticity of a forced flow on the torus, from ten frames to the next ten."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..data import MeshData
from ..solvers.navier_stokes import forcing, solve_navier_stokes
from .grid import grid_quads
from .matlab import matlab_shapes, read_matlab
from .pde_dataset import PDEDataset

FILE = "NavierStokes_V1e-5_N1200_T20.mat"
FRAMES, SIZE, VISCOSITY = 20, 64, 1e-5  # of the official file


class NavierStokes(PDEDataset):
    r"""Vorticity on the unit torus: :math:`w_t + u \cdot \nabla w = \nu \Delta w + 0.1 (\sin + \cos)(2 \pi (x + y))`.

    A sample is one trajectory: from w at t = 1, 2 ... 10 (``x [N, 10]``) to w at t = 11, 12 ... 20 (``y [N, 10]``)
    at the nodes (i / s, j / s) of a grid (``pos [N, 2]``, ``grid_shape``), N = s², s = ``resolution``. The set-up is
    that of Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations" (arXiv:2010.08895).
    Generated; errors are not comparable with published tables. With the official file in ``root/raw``, see
    :class:`.pde_dataset.PDEDataset`, the samples are the published ones.

    The domain has no boundary: the node after the last is the first one again. ``quad`` has the cells inside the
    square only, not those across its edge; ``weight`` is 1 / N everywhere, the exact rule of the torus. Patches that
    cross the edge are those of ``KNNPatches(k, period=1.0)``.

    Args:
        root: folder of the set; ``datasets/navier-stokes`` below the current folder when None.
        split: "train", "val" or "test".
        resolution: s, nodes kept per side; of the official file, which has 64, a divisor.
        refine: the solve has ``resolution * refine`` nodes per side.
        dt: the longest time step; shorter where the flow is too fast for it.
        viscosity: nu.
        options: ``num_samples=None`` (240; 1200 official ones), ``seed=0``, ``source="auto"``,
            ``protocol="standard"``, ``transform``, ``pre_transform``, ``force_reload``, ``workers``, ``on_disk``: see
            :class:`.pde_dataset.PDEDataset`.

    Raises:
        ValueError, RuntimeError, OSError: see :class:`.pde_dataset.PDEDataset`.
    """

    name = "navier-stokes"
    version = 1
    solver = "pyg_neuralops.solvers.navier_stokes:sample_navier_stokes"
    task: ClassVar = {"name": "next-frame"}
    num_default = (200, 40)
    names: ClassVar = {
        "pos": ("x", "y"),
        "x": tuple(f"vorticity@{time}" for time in range(1, 11)),
        "y": tuple(f"vorticity@{time}" for time in range(11, 21)),
    }
    units: ClassVar = {"pos": ("1", "1"), "x": 10 * ("1",), "y": 10 * ("1",)}
    official_files = (FILE,)
    official_counts = (1000, 200)
    official_test = "last"
    official_parameters = ("resolution", "viscosity")

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        resolution: int = 64,
        refine: int = 2,
        dt: float = 0.05,
        viscosity: float = VISCOSITY,
        **options: Any,
    ):
        if resolution < 4 or refine < 1:
            raise ValueError(f"resolution={resolution}, refine={refine}; they must be at least 4 and 1")
        if not (dt > 0 and viscosity >= 0):
            raise ValueError(f"dt={dt}, viscosity={viscosity}; they must be above 0 and at least 0")
        parameters = {"resolution": resolution, "refine": refine, "dt": float(dt), "viscosity": float(viscosity)}
        super().__init__(parameters, root, split, **options)

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        frames, size, _ = arrays["vorticity"].shape
        w = torch.from_numpy(arrays["vorticity"].reshape(frames, size**2).T.astype(np.float32))  # [N, frames]
        node = torch.arange(size) / size
        return MeshData(
            x=w[:, : frames // 2].contiguous(),
            y=w[:, frames // 2 :].contiguous(),
            pos=torch.cartesian_prod(node, node),
            quad=grid_quads(size, size).int(),
            weight=torch.full((size**2,), 1 / size**2),
            grid_shape=(size, size),
        )

    def count_official(self, files: Mapping[str, Path]) -> int:
        shape = matlab_shapes(files[FILE]).get("u", ())
        if shape[1:] != (SIZE, SIZE, FRAMES):
            raise ValueError(f"{files[FILE]}: u has shape {list(shape)}; expected [samples, {SIZE}, {SIZE}, {FRAMES}]")
        return shape[0]

    def read_official(self, files: Mapping[str, Path], rows: range) -> Iterator[MeshData]:
        if SIZE % self.parameters["resolution"] or self.parameters["viscosity"] != VISCOSITY:
            given = {key: self.parameters[key] for key in self.official_parameters}
            raise ValueError(
                f"{given}; the official file has viscosity {VISCOSITY} and resolution {SIZE}, of which the divisors "
                "can be had; source='generated' for others"
            )
        stride = SIZE // self.parameters["resolution"]
        every = read_matlab(files[FILE], "u", (slice(rows.start, rows.stop),))  # [samples, x, y, time]
        for row, w in zip(rows, every, strict=True):
            w = np.ascontiguousarray(w.transpose(2, 0, 1), dtype=float)
            check_trajectory(w, f"{files[FILE]}, sample {row}")
            yield self.to_mesh({"vorticity": w[:, ::stride, ::stride]})


def check_trajectory(w: np.ndarray, label: str) -> None:
    """Refuse what is not this flow: other numbers, another order of axes or frames, another unit.

    In 70 generated samples the steps across an edge are at most 1.6 usual ones (5.7 and more where the square is
    cropped), frames at most 0.77 of their size apart (2.2 and more when shuffled), and the solver takes frame 1 to 2
    within 0.023 of the change (0.43 and more with axes swapped or reversed, frames reversed, or twice the unit).

    Args:
        w: vorticity ``[frames, x, y]`` at the times 1, 2 ...
        label: says which sample it is.

    Raises:
        ValueError: saying what was expected and what was found.
    """
    scale = np.sqrt((w**2).mean((1, 2)))  # [frames]
    if not (np.isfinite(w).all() and scale.min() > 0):
        raise ValueError(f"{label}: vorticity with values that are not finite, or with a frame of zeros")
    mean = np.abs(w.mean((1, 2)) / scale).max()
    if mean > 1e-3:
        raise ValueError(f"{label}: the mean vorticity is {mean:.2g} of its size; at most 1e-3 expected, as it stays 0")
    for axis, name in ((1, "x"), (2, "y")):
        step = (np.moveaxis(np.roll(w, -1, axis) - w, axis, 0) ** 2).mean((1, 2))  # [size], the last across the edge
        across = np.sqrt(step[-1] / step[:-1].mean())
        if across > 3:
            raise ValueError(
                f"{label}: the step across the edge in {name} is {across:.1f} usual ones; at most 3 expected"
            )
    jump = (np.sqrt(((w[1:] - w[:-1]) ** 2).mean((1, 2))) / scale[:-1]).max()
    if jump > 1.5:
        raise ValueError(f"{label}: a frame is {jump:.1f} times its size away from the next; at most 1.5 expected")
    (second,), _ = solve_navier_stokes(w[0], forcing(w.shape[1]), VISCOSITY, frames=1, dt=0.1)
    error = np.linalg.norm(second - w[1]) / np.linalg.norm(w[1] - w[0])
    if not error <= 0.25:
        raise ValueError(
            f"{label}: solving from frame 1 to 2 is off by {error:.2f} of the change; at most 0.25 expected. "
            "Is the order of axes sample, x, y, time?"
        )
