"""Bring your own data: arrays on any points become one HDF5 file that every command reads.

    python examples/bring_your_own_data.py OBSTACLES.npz obstacles.h5
    pyg-neuralops compare --dataset obstacles.h5 --models la2former mesh-graph-net --out runs/obstacles

`to_mesh` is all there is to it: positions, inputs and targets of one sample. The main program applies it to flow
around obstacles on a raster (`chi [S, n, n]`, 1 in the fluid; `u [S, n, n, 2]`): the fluid cells of a sample become
its point cloud, so every sample has other points and another number of them.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from tqdm import tqdm

from pyg_neuralops.data import MeshData, write_hdf5

NAMES = {"x": ["distance to the obstacle", "x", "y"], "y": ["u_x", "u_y"]}


def to_mesh(pos: np.ndarray, x: np.ndarray, y: np.ndarray, **cells: np.ndarray) -> MeshData:
    """One sample from arrays: pos [N, D], x [N, F], y [N, O] and, where known, face=[T, 3], quad=[Q, 4], tet=[T, 4]."""
    fields = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in (("pos", pos), ("x", x), ("y", y))}
    return MeshData(**fields, **{name: torch.as_tensor(value.T.astype(np.int64)) for name, value in cells.items()})


def fluid_cells(chi: np.ndarray, u: np.ndarray) -> MeshData:
    """The fluid cells of one raster as points in the unit square; inputs: distance to the obstacle, position.

    Position is an input because walls, inflow and outflow are where they are, and not every model looks at ``pos``.
    """
    fluid = chi == 1
    row, column = np.nonzero(fluid)
    pos = (np.stack([column, row], 1) + 0.5) / len(chi)  # the flow runs along the columns
    distance = distance_transform_edt(fluid)[fluid] / len(chi)
    return to_mesh(pos, np.column_stack([distance, pos]), u[fluid])


def main(source: str, target: str, num_samples: int = 600, seed: int = 0) -> int:
    """Convert; returns the number of distinct obstacles found, of which ``num_samples`` are taken."""
    with np.load(source) as arrays:
        chi, u = arrays["chi"], arrays["u"]
    # The same obstacle twice would let a test sample be looked up in the training set.
    first = np.sort(np.unique(chi.reshape(len(chi), -1), axis=0, return_index=True)[1])
    chosen = np.random.default_rng(seed).permutation(first)[:num_samples]
    samples = (fluid_cells(chi[i], u[i]) for i in tqdm(chosen, desc="converting", disable=None))
    write_hdf5(target, samples, names=NAMES, attrs={"source": Path(source).name})
    print(f"{len(chi)} samples, {len(first)} distinct obstacles, {len(chosen)} written to {target}")
    return len(first)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
