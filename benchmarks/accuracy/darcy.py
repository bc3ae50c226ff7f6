"""How accurate the generator of ``darcy`` is: grids and face means against 1681² nodes."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from scipy.fft import idctn

from pyg_neuralops.solvers import FACE_MEANS, solve_darcy

SIZES = (85, 169, 421, 841)
FINEST = 1681


def medium(seed: int, modes: int = FINEST) -> np.ndarray:
    """The two-phase medium of a cosine series, defined for every point, at the nodes of the finest grid."""
    k = np.pi * np.arange(modes)
    normal = np.random.default_rng(seed).standard_normal((modes, modes))
    series = normal / (k[:, None] ** 2 + k**2 + 9)  # tau = 3, alpha = 2; scale does not change the sign
    series[0] /= np.sqrt(2)
    series[:, 0] /= np.sqrt(2)
    series[0, 0] = 0
    series[1:-1] /= 2  # the inverse transform of type 1 counts inner modes twice
    series[:, 1:-1] /= 2
    return np.where(idctn(series, type=1) >= 0, 12.0, 3.0)


def accuracy(samples: int = 5) -> dict[str, dict[str, float]]:
    """Relative L2 errors of u at 85² nodes, and CPU seconds, by nodes solved and face mean; about 6 s a sample.

    The reference is the average of the arithmetic and the harmonic solution, so that it favours no mean in use.
    """
    errors: dict[tuple[int, str], list[float]] = {(size, mean): [] for size in SIZES for mean in FACE_MEANS}
    seconds = dict.fromkeys(errors, 0.0)
    for seed in range(samples):
        a = medium(seed)
        every = (FINEST - 1) // 84
        reference = np.mean([solve_darcy(a, face_mean=m).u[::every, ::every] for m in ("arithmetic", "harmonic")], 0)
        for size, mean in errors:
            step = (FINEST - 1) // (size - 1)
            start = time.process_time()
            u = solve_darcy(a[::step, ::step], face_mean=mean).u[:: every // step, :: every // step]
            seconds[size, mean] += (time.process_time() - start) / samples
            errors[size, mean].append(float(np.linalg.norm(u - reference) / np.linalg.norm(reference)))
    return {
        f"{size}² nodes, {mean}": {
            "mean": float(np.mean(errors[size, mean])),
            "max": float(np.max(errors[size, mean])),
            "seconds": seconds[size, mean],
        }
        for size, mean in errors
    }


def main() -> None:
    print(json.dumps(accuracy(*map(int, sys.argv[1:2])), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
