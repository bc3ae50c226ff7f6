"""Accuracy of the plasticity generator: grids and time steps against a fine grid, and densities against steel.

python benchmarks/accuracy/plasticity.py [samples]
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from pyg_neuralops.solvers.forging import HEIGHT, LENGTH, STEEL, solve_forging
from pyg_neuralops.solvers.plasticity import random_die

Setting = tuple[int, float, float]  # columns, density over that of steel, Courant number
SETTINGS: dict[str, Setting] = {
    "51 x 16, density x 4 (default)": (51, 4.0, 0.8),
    "51 x 16, density x 4, half the time step": (51, 4.0, 0.4),
    "51 x 16": (51, 1.0, 0.8),
    "101 x 31, density x 4": (101, 4.0, 0.8),
    "101 x 31 (published size)": (101, 1.0, 0.8),
}
REFERENCES: dict[float, Setting] = {4.0: (151, 4.0, 0.8), 1.0: (151, 1.0, 0.8)}


def displacement(seed: int, columns: int, density_scale: float, courant: float) -> tuple[np.ndarray, float]:
    """Displacement ``[20, 51, 16, 2]`` at the nodes of the default grid, and seconds of processor time."""
    rows, every = 3 * (columns - 1) // 10 + 1, (columns - 1) // 50
    die = random_die(np.random.default_rng(np.random.SeedSequence((0, 1, seed))))
    begin = time.process_time()
    forging = solve_forging(die, columns, rows, density=density_scale * STEEL["density"], courant=courant)
    seconds = time.process_time() - begin
    start = np.stack(np.meshgrid(np.linspace(0, LENGTH, columns), np.linspace(0, HEIGHT, rows), indexing="ij"), -1)
    return (forging.positions - start)[:, ::every, ::every], seconds


def accuracy(samples: int = 2) -> dict[str, dict[str, float]]:
    """Relative L2 errors of the displacement over all 20 times, mean and greatest, and seconds a sample.

    "mean" and "max" are against 151 x 46 nodes at the same density, "steel" is the mean against those at that of
    steel.
    """
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SETTINGS}
    for seed in range(samples):
        fine = {scale: displacement(seed, *setting)[0] for scale, setting in REFERENCES.items()}
        for name, setting in SETTINGS.items():
            found, seconds = displacement(seed, *setting)
            own, steel = (
                np.linalg.norm(found - fine[scale]) / np.linalg.norm(fine[scale]) for scale in (setting[1], 1)
            )
            rows[name].append((float(own), float(steel), seconds))
    return {
        name: {
            "mean": float(np.mean([own for own, _, _ in row])),
            "max": max(own for own, _, _ in row),
            "steel": float(np.mean([steel for _, steel, _ in row])),
            "seconds": float(np.mean([seconds for _, _, seconds in row])),
        }
        for name, row in rows.items()
    }


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(json.dumps(accuracy(samples), indent=1))


if __name__ == "__main__":
    main()
