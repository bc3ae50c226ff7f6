"""Accuracy of linear tetrahedra (``mode="fem"``) against the exact solution, by size; ``mode="exact"`` has no error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyg_neuralops.solvers.poisson import sample_poisson


def accuracy(samples: int = 5, sizes: Sequence[int] = (11, 21, 31)) -> dict[str, Any]:
    """Relative L2 error at the vertices, mean and largest over ``samples``, and seconds a sample in both modes."""
    result: dict[str, Any] = {"samples": samples}
    for per_side in sizes:
        errors, spent = [], {"exact": 0.0, "fem": 0.0}
        for index in range(samples):
            solutions = {}
            for mode in spent:
                start = time.process_time()
                solutions[mode] = sample_poisson((0, 1, index), per_side=per_side, mode=mode).u
                spent[mode] += (time.process_time() - start) / samples
            error = np.linalg.norm(solutions["fem"] - solutions["exact"]) / np.linalg.norm(solutions["exact"])
            errors.append(float(error))
        result |= {f"mean {per_side}³": float(np.mean(errors)), f"max {per_side}³": max(errors)}
        result |= {f"seconds {mode} {per_side}³": seconds for mode, seconds in spent.items()}
    return result


def main() -> None:
    for name, value in accuracy().items():
        print(f"{name:22} {value:.3g}")


if __name__ == "__main__":
    main()
