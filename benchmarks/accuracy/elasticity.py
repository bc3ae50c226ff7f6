"""How accurate the generator of ``elasticity`` is: refinements of the mesh against two of all and two at the void."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from pyg_neuralops.solvers.elasticity import ElasticitySample, sample_elasticity

LEVELS = ((0, 0), (1, 0), (1, 1), (2, 0))
"""Refinements everywhere, and further ones at the void."""
REFERENCE = (2, 2)


def accuracy(samples: int = 10, points: int = 972) -> dict[str, dict[str, float]]:
    """Relative L2 errors at the points kept, and CPU seconds a sample, by refinement; about 10 s a sample.

    The stress is unbounded at the two ends of the clamped side, so they are left out of it.
    """
    errors: dict[tuple[int, int], list[list[float]]] = {level: [] for level in LEVELS}
    seconds = dict.fromkeys((*LEVELS, REFERENCE), 0.0)

    def solve(index: int, level: tuple[int, int]) -> ElasticitySample:
        start = time.process_time()
        sample = sample_elasticity((0, 0, index), points, *level)
        seconds[level] += (time.process_time() - start) / samples
        return sample

    for index in range(samples):
        reference = solve(index, REFERENCE)
        x, y = reference.points.T
        inner = ~((y == 0) & ((x == 0) | (x == 1)))
        for level in LEVELS:
            sample = solve(index, level)
            errors[level].append(
                [
                    float(np.linalg.norm((ours - exact)[inner]) / np.linalg.norm(exact[inner]))
                    for ours, exact in ((sample.von_mises, reference.von_mises), (sample.u, reference.u))
                ]
            )
    result: dict[str, dict[str, float]] = {}
    for level, found in errors.items():
        (mean, mean_u), (most, most_u) = np.mean(found, axis=0), np.max(found, axis=0)
        result["refine={}, refine_void={}".format(*level)] = {
            "mean": float(mean),
            "max": float(most),
            "mean of u": float(mean_u),
            "max of u": float(most_u),
            "seconds": seconds[level],
        }
    return {**result, "reference refine={}, refine_void={}".format(*REFERENCE): {"seconds": seconds[REFERENCE]}}


def main() -> None:
    print(json.dumps(accuracy(*map(int, sys.argv[1:2])), indent=1))


if __name__ == "__main__":
    main()
