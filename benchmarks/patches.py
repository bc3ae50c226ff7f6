"""Patches of every kind at 16,384 points, K 32: seconds to make them, and the keys U of a tile of 32 queries.

python benchmarks/patches.py         # writes results/patches.json
"""

from __future__ import annotations

import time

import numpy as np
import torch
from scipy.spatial import Delaunay
from timing import write

from pyg_neuralops.data import MeshData
from pyg_neuralops.ops import EdgeTiles
from pyg_neuralops.transforms import Anisotropic, KNNPatches, MeshEdges, Upwind

N, K = 16384, 32


def sample(seed: int = 0) -> MeshData:
    """Random points and their triangulation, a wind that turns, and a conductivity of ratio 1 to 1000."""
    rng = np.random.default_rng(seed)
    pos = rng.random((N, 2))
    x, y = (pos - 0.5).T
    vortex = 3 * np.exp(-8 * (x**2 + y**2))
    angle, ratio = np.pi * np.sin(3 * x) * np.cos(2 * y), 10 ** rng.uniform(0, 3, N)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(-1, 2, 2)
    tensor = turn @ (np.stack([np.ones(N), 1 / ratio], 1)[..., None] * turn.transpose(0, 2, 1))
    fields = {"pos": pos, "wind": np.stack([1 - vortex * y, vortex * x], 1), "conductivity": tensor}
    face = torch.from_numpy(Delaunay(pos).simplices.T.astype(np.int64))
    return MeshEdges()(MeshData(**{name: torch.from_numpy(v).float() for name, v in fields.items()}, face=face))


def main() -> None:
    data, rows = sample(), {}
    for name, settings in {
        "Euclidean": {},
        "periodic": {"period": 1.0},
        "through_solid=False": {"through_solid": False},
        "Upwind, stretch 6": {"metric": Upwind("wind", 6)},
        "Upwind, stretch 12": {"metric": Upwind("wind", 12)},
        "Anisotropic, ratio to 1000": {"metric": Anisotropic("conductivity")},
    }.items():
        transform, seconds = KNNPatches(K, **settings), []
        for _ in range(3):
            start = time.perf_counter()
            prepared = transform(data)
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        tiles = EdgeTiles.flat(prepared.patch_index, prepared.pos, period=prepared.get("patch_period", [None])[0])
        tiling = time.perf_counter() - start
        keys = tiles["tile_num_keys"].double()
        rows[name] = {
            "patches_s": round(min(seconds), 3),
            "tiles_s": round(tiling, 3),
            "mean_keys": round(float(keys.mean()), 1),
            "most_keys": int(keys.max()),
        }
        print(f"{name:24s} {rows[name]}", flush=True)
    write("patches", {"points": N, "k": K, "tile_size": 32, "kinds": rows})


if __name__ == "__main__":
    main()
