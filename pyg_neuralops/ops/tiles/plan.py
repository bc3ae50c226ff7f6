"""Which tiles share a padded shape: the trade of padding against calls, solved exactly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CALL = 1 << 14  # query-key pairs that take as long as the fixed cost of one more bucket, on a CPU
MOST = 1 << 18  # query-key pairs in one bucket on a CPU: its rows stay in cache and its memory is reused
ROWS = 4  # rows of a bucket are a multiple of this
WIDER = 64  # both grow by this where pairs are computed that much faster and cache is no concern


def plan_buckets(rows: NDArray, keys: NDArray, is_cpu: bool = True) -> list[tuple[NDArray, int, int]]:
    """Buckets as (tiles, T, U), U a multiple of 8, for tiles with ``rows [t]`` and ``keys [t]``."""
    call, most = (CALL, MOST) if is_cpu else (CALL * WIDER, MOST * WIDER)
    if not len(rows):
        return []
    height = -(-rows // ROWS) * ROWS
    classes = np.unique(height)
    for small, large in pairwise(classes):  # too few to be worth a call: join
        members = height == small
        if (small * keys[members]).sum() < call:
            height[members] = large
    # Multiples of 8 up to 1024, coarser above: a hub must neither widen the others nor cost many classes.
    step = 2 ** np.maximum(3, np.frexp(keys)[1].astype(np.int64) - 7)
    width = -(-keys // step) * step
    plan = []
    for t in np.unique(height):
        members = np.flatnonzero(height == t)
        members = members[np.argsort(width[members], kind="stable")]
        for first, last in _cuts(int(t), width[members], call):
            u = int(width[members[last - 1]])
            limit = max(1, most // (int(t) * u))
            pieces = -(-(last - first) // limit)
            plan += [(part, int(t), int(width[part[-1]])) for part in np.array_split(members[first:last], pieces)]
    return plan


def _cuts(t: int, width: NDArray, call: int) -> list[tuple[int, int]]:
    """Runs of the sorted widths that minimise padded area plus the cost of calls (dynamic programming)."""
    u, first = np.unique(width, return_index=True)
    first = np.append(first, len(width))
    best, origin = np.zeros(len(u) + 1), np.zeros(len(u) + 1, np.int64)
    for end in range(1, len(u) + 1):
        cost = best[:end] + t * u[end - 1] * (first[end] - first[:end]) + call
        origin[end] = cost.argmin()
        best[end] = cost[origin[end]]
    runs, end = [], len(u)
    while end:
        runs.append((int(first[origin[end]]), int(first[end])))
        end = int(origin[end])
    return runs[::-1]
