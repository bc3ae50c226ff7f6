"""How accurate the generator of ``navier-stokes`` is: coarser grids and longer steps against 256² nodes."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from pyg_neuralops.solvers.navier_stokes import sample_navier_stokes

SETTINGS = ((32, 2, 0.05), (64, 1, 0.05), (64, 2, 0.05), (64, 2, 0.01))  # resolution, refine, dt
REFERENCE = (64, 4, 0.05)
TIMES = (1, 5, 10, 15, 20)


def accuracy(samples: int = 10) -> dict[str, dict[str, float]]:
    """Relative L2 errors of the target (t = 11 to 20) at the nodes kept, their mean at some times, and CPU seconds.

    About 10 s a sample. The reference has an error of its own, of about a quarter of that of (64, 2).
    """
    errors: dict[tuple[int, int, float], list[float]] = {setting: [] for setting in SETTINGS}
    by_time: dict[tuple[int, int, float], list[list[float]]] = {setting: [] for setting in SETTINGS}
    seconds = dict.fromkeys((*SETTINGS, REFERENCE), 0.0)

    def solve(index: int, setting: tuple[int, int, float]) -> np.ndarray:
        start = time.process_time()
        w = sample_navier_stokes((0, 0, index), *setting).vorticity  # [20, s, s]
        seconds[setting] += (time.process_time() - start) / samples
        return w

    for index in range(samples):
        reference = solve(index, REFERENCE)
        for setting in SETTINGS:
            w = solve(index, setting)
            kept = reference[:, :: 64 // w.shape[1], :: 64 // w.shape[1]]
            frame_errors = np.linalg.norm(w - kept, axis=(1, 2)) / np.linalg.norm(kept, axis=(1, 2))
            errors[setting].append(float(np.linalg.norm(w[10:] - kept[10:]) / np.linalg.norm(kept[10:])))
            by_time[setting].append([frame_errors[t - 1] for t in TIMES])
    result = {}
    for setting in SETTINGS:
        over_time = zip(TIMES, np.mean(by_time[setting], 0), strict=True)
        result["resolution={}, refine={}, dt={}".format(*setting)] = {
            "mean": float(np.mean(errors[setting])),
            "max": float(np.max(errors[setting])),
            "seconds": seconds[setting],
            **{f"t={t}": float(error) for t, error in over_time},
        }
    return {**result, f"reference {REFERENCE}": {"seconds": seconds[REFERENCE]}}


def main() -> None:
    print(json.dumps(accuracy(*map(int, sys.argv[1:2])), indent=1))


if __name__ == "__main__":
    main()
