"""How accurate the generator of ``pipe`` is: its meshes against one three times as fine as the published one."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from pyg_neuralops.solvers.pipe import sample_pipe

MESHES = ((65, 1), (65, 2), (65, 3), (129, 1), (129, 2))  # resolution, refine
REFERENCE = (129, 3)


def accuracy(samples: int = 10, viscosity: float = 0.005) -> dict[str, dict[str, float]]:
    """Relative L2 errors of u at the nodes kept, and CPU seconds a sample, by mesh; about 15 s a sample."""
    errors: dict[tuple[int, int], list[float]] = {mesh: [] for mesh in MESHES}
    seconds = dict.fromkeys((*MESHES, REFERENCE), 0.0)

    def solve(index: int, mesh: tuple[int, int]) -> np.ndarray:
        start = time.process_time()
        u = sample_pipe((0, 0, index), *mesh, viscosity).u
        seconds[mesh] += (time.process_time() - start) / samples
        return u

    for index in range(samples):
        reference = solve(index, REFERENCE)
        for mesh in MESHES:
            kept = reference[:: 128 // (mesh[0] - 1), :: 128 // (mesh[0] - 1)]
            errors[mesh].append(float(np.linalg.norm(solve(index, mesh) - kept) / np.linalg.norm(kept)))
    result = {
        f"resolution={mesh[0]}, refine={mesh[1]}": {
            "mean": float(np.mean(errors[mesh])),
            "max": float(np.max(errors[mesh])),
            "seconds": seconds[mesh],
        }
        for mesh in MESHES
    }
    return {**result, f"reference {REFERENCE}": {"seconds": seconds[REFERENCE]}}


def main() -> None:
    print(json.dumps(accuracy(*map(int, sys.argv[1:2])), indent=1))


if __name__ == "__main__":
    main()
