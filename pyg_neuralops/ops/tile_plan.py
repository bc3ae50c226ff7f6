"""Which tiles share a padded shape: the trade of padding against calls, solved exactly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CALL = 32_768  # query-key pairs that take as long as the fixed cost of one more bucket
MOST = 1 << 18  # query-key pairs in one bucket on a CPU: its rows stay in cache and its memory is reused
CLASSES = 64  # distinct widths told apart


def plan_buckets(rows: NDArray, keys: NDArray, most: int = MOST) -> list[tuple[NDArray, int, int]]:
    """Buckets as (tiles, T, U), T and U multiples of 8, for tiles with ``rows [t]`` and ``keys [t]``."""
    if not len(rows):
        return []
    height = -(-rows // 8) * 8
    classes = np.unique(height)
    for small, large in pairwise(classes):  # too few to be worth a call: join
        members = height == small
        if (small * keys[members]).sum() < CALL:
            height[members] = large
    step = max(8, -(-(int(keys.max()) - int(keys.min())) // (8 * CLASSES)) * 8)
    width = -(-keys // step) * step
    plan = []
    for t in np.unique(height):
        members = np.flatnonzero(height == t)
        members = members[np.argsort(width[members], kind="stable")]
        for first, last in _cuts(int(t), width[members]):
            u = int(width[members[last - 1]])
            limit = max(1, most // (int(t) * u))
            pieces = -(-(last - first) // limit)
            plan += [(part, int(t), u) for part in np.array_split(members[first:last], pieces)]
    return plan


def _cuts(t: int, width: NDArray) -> list[tuple[int, int]]:
    """Runs of the sorted widths that minimise padded area plus the cost of calls (dynamic programming)."""
    u, first = np.unique(width, return_index=True)
    first = np.append(first, len(width))
    best, origin = np.zeros(len(u) + 1), np.zeros(len(u) + 1, np.int64)
    for end in range(1, len(u) + 1):
        cost = best[:end] + t * u[end - 1] * (first[end] - first[:end]) + CALL
        origin[end] = cost.argmin()
        best[end] = cost[origin[end]]
    runs, end = [], len(u)
    while end:
        runs.append((int(first[origin[end]]), int(first[end])))
        end = int(origin[end])
    return runs[::-1]
