"""Accuracy of the advection-diffusion samples at their defaults, against two more refinements of their meshes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pyg_neuralops.solvers.advection_diffusion import sample_advection_diffusion


def accuracy(samples: int = 8) -> dict[str, Any]:
    """Relative L2 error at the vertices by decade of the diffusivity, ``samples`` in each, and seconds a sample."""
    errors: dict[str, list[float]] = {"1e-4..1e-3": [], "1e-3..1e-2": [], "1e-2..1e-1": []}
    overshoot, seconds, index = [], [], 0
    while min(map(len, errors.values())) < samples:
        start = time.process_time()
        sample = sample_advection_diffusion((0, 1, index))
        spent = time.process_time() - start
        index += 1
        found = errors[list(errors)[min(int(np.log10(sample.diffusivity) + 4), 2)]]
        if len(found) == samples:
            continue
        seconds.append(spent)
        fine = sample_advection_diffusion((0, 1, index - 1), refine=3)
        found.append(float(np.linalg.norm(sample.u - fine.u) / np.linalg.norm(fine.u)))
        overshoot.append(float(max(sample.u.max() - fine.u.max(), fine.u.min() - sample.u.min())))
    return {
        "samples": sum(map(len, errors.values())),
        "seconds": float(np.mean(seconds)),
        **{f"mean {decade}": float(np.mean(found)) for decade, found in errors.items()},
        **{f"max {decade}": max(found) for decade, found in errors.items()},
        "mean": float(np.mean([np.mean(found) for found in errors.values()])),
        "max": max(max(found) for found in errors.values()),
        "overshoot": max(overshoot),
    }


def main() -> None:
    for name, value in accuracy().items():
        print(f"{name:18} {value:.3g}")


if __name__ == "__main__":
    main()
