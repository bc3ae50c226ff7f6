"""How accurate the generator of ``darcy-irregular`` is: refinements of the mesh against four of them."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from pyg_neuralops.solvers import sample_darcy_irregular

LEVELS = (0, 1, 2, 3)
REFERENCE = 4


def accuracy(samples: int = 10, points: int = 730) -> dict[str, dict[str, float]]:
    """Relative L2 errors of u at the vertices kept, and CPU seconds a sample, by refinement; about 15 s a sample."""
    errors: dict[int, list[float]] = {level: [] for level in LEVELS}
    seconds = dict.fromkeys((*LEVELS, REFERENCE), 0.0)

    def solve(index: int, level: int) -> np.ndarray:
        start = time.process_time()
        u = sample_darcy_irregular((0, 0, index), points, level).u
        seconds[level] += (time.process_time() - start) / samples
        return u

    for index in range(samples):
        reference = solve(index, REFERENCE)
        for level in LEVELS:
            errors[level].append(float(np.linalg.norm(solve(index, level) - reference) / np.linalg.norm(reference)))
    result = {
        f"refine={level}": {
            "mean": float(np.mean(errors[level])),
            "max": float(np.max(errors[level])),
            "seconds": seconds[level],
        }
        for level in LEVELS
    }
    return {**result, f"reference refine={REFERENCE}": {"seconds": seconds[REFERENCE]}}


def main() -> None:
    print(json.dumps(accuracy(*map(int, sys.argv[1:2])), indent=1))


if __name__ == "__main__":
    main()
