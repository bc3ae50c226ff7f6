"""Accuracy of the anisotropic diffusion samples at their defaults, against three refinements of their meshes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pyg_neuralops.solvers.anisotropic_diffusion import STEEP, sample_anisotropic_diffusion


def accuracy(samples: int = 6) -> dict[str, Any]:
    """Relative L2 error at the vertices by decade of the ratio, ``samples`` in each, and seconds a sample."""
    errors: dict[str, list[float]] = {"1..10": [], "10..100": [], "100..1000": []}
    overshoot, seconds, index = [], [], 0
    while min(map(len, errors.values())) < samples:
        start = time.process_time()
        sample = sample_anisotropic_diffusion((0, 1, index))
        spent = time.process_time() - start
        index += 1
        found = errors[list(errors)[min(int(np.log10(sample.ratio)), 2)]]
        if len(found) == samples:
            continue
        seconds.append(spent)
        fine = sample_anisotropic_diffusion((0, 1, index - 1), refine=3 - (sample.ratio >= STEEP))
        found.append(float(np.linalg.norm(sample.u - fine.u) / np.linalg.norm(fine.u)))
        data = fine.g[fine.boundary]
        overshoot.append(float(max(sample.u.max() - data.max(), data.min() - sample.u.min(), 0)))
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
