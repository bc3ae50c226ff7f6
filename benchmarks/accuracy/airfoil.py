"""Discretisation and iteration errors of the generated airfoil set: ``python benchmarks/accuracy/airfoil.py``."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from pyg_neuralops.solvers.airfoil import airfoil_grid, sample_airfoil
from pyg_neuralops.solvers.euler import solve_euler

CASES = {  # label -> resolution, refine, iterations
    "111": (111, 1, 800),
    "111, more iterations": (111, 1, 2000),
    "111, refine 2": (111, 2, 1500),
    "221": (221, 1, 2000),
}
REFERENCES = {111: (111, 4, 3000), 221: (221, 2, 3000)}


def accuracy(samples: int = 2) -> dict[str, Any]:
    """Relative L2 errors of the Mach number at the nodes, all of them and those on the airfoil, and CPU seconds.

    About 40 s a sample.
    """
    errors: dict[str, list[tuple[float, float, float]]] = {label: [] for label in CASES}
    for index in range(samples):
        seed = (0, 1, index)
        exact = {size: sample_airfoil(seed, *reference).mach for size, reference in REFERENCES.items()}
        for label, case in CASES.items():
            start = time.process_time()
            mach = sample_airfoil(seed, *case).mach
            seconds = time.process_time() - start
            difference, truth = mach - exact[case[0]], exact[case[0]]
            wall = slice(5 * (case[0] // 22), -5 * (case[0] // 22))
            near = np.linalg.norm(difference[wall, 0]) / np.linalg.norm(truth[wall, 0])
            errors[label].append((float(np.linalg.norm(difference) / np.linalg.norm(truth)), float(near), seconds))
    table = {}
    for label, rows in errors.items():
        every, wall, seconds = np.array(rows).T
        table[label] = {
            "mean": every.mean(),
            "max": every.max(),
            "wall_mean": wall.mean(),
            "seconds": np.median(seconds),
        }
    return {"samples": samples, "relative_l2": table}


def standard_case(mach: float, angle: float, refine: int, iterations: int) -> dict[str, float]:
    """Lift and drag of NACA-0012 on the published size, or ``refine`` times as fine."""
    grid, wake = airfoil_grid(np.zeros(8), 221, refine)
    solution = solve_euler(grid, wake, mach=mach, angle=angle, iterations=iterations)
    return {"lift": solution.lift, "drag": solution.drag, "residual": solution.residual}


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    result = accuracy(samples)
    for mach, angle in ((0.8, 1.25), (0.63, 2.0)):
        result[f"NACA-0012, Mach {mach}, {angle} degrees"] = {
            "221": standard_case(mach, angle, 1, 2000),
            "221, refine 2": standard_case(mach, angle, 2, 3000 if mach == 0.8 else 5000),
        }
    print(json.dumps(result, indent=1, default=float))


if __name__ == "__main__":
    main()
