"""Cut points into compact tiles: median splits of all segments at once, one pass per level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray
MIXED = 1000.0  # largest ratio of the reaches in one tile


def split_tiles(
    pos: Array,
    reach: Array,
    stencil: Array,
    size: int,
    max_extent: float,
    batch: Array | None = None,
    period: Array | None = None,
) -> tuple[Array, Array]:
    """Order points so that each tile is a contiguous run; a tile holds at most ``size`` points.

    A segment above ``size`` is cut near its median, at a multiple of ``size`` so that tiles come out full,
    across the axis along which it is longest *in neighbour distances*: on a boundary-layer mesh a tile is
    then compact in the graph, however thin it is in space. A segment within ``size`` whose extent exceeds
    ``max_extent`` times the smallest reach of its points is cut further, at its widest gap, in the reach
    when that varies by 4 or more (a cluster among scattered points), else in position (two clusters). In a
    periodic box a tile and its reach stay within half a period of the tile's centre.

    Shapes:
        ``pos [N, D]``, ``reach [N]``, ``stencil [N, D]`` mean distance to the neighbours per axis,
        ``batch [N]`` sample of each point (tiles never mix samples), ``period [D]`` (0 for none).
        Returns the order ``[N]`` and the points per tile ``[t]``.
    """
    if batch is None:
        order, counts = np.arange(len(pos)), np.array([len(pos)])
    else:
        order, counts = np.argsort(batch, kind="stable"), np.bincount(batch)
        counts = counts[counts > 0]
    # A point that only sees points at its own place needs no resolution.
    reach = np.where(reach > 0, reach, reach.max(initial=0.0) or 1.0)
    side = np.inf if period is None else np.where(period > 0, period, np.inf)
    is_open = np.ones(len(counts), bool)
    while is_open.any():
        where = np.flatnonzero(np.repeat(is_open, counts))  # rows of `order` still to be cut
        ids, count = order[where], counts[is_open]
        start = np.cumsum(count) - count
        points = pos[ids]
        extent = np.maximum.reduceat(points, start) - np.minimum.reduceat(points, start)  # [s, D]
        least, most = np.minimum.reduceat(reach[ids], start), np.maximum.reduceat(reach[ids], start)
        is_large = count > size
        is_wide = (extent.max(1) > max_extent * least) | (extent > side - 2 * most[:, None]).any(1)
        cut = is_large | ((is_wide | (most > MIXED * least)) & (count > 1))
        is_open[is_open] = cut
        if not cut.any():
            break
        keep = np.repeat(cut, count)
        where, ids, points = where[keep], ids[keep], points[keep]
        count, extent, is_large, spread = count[cut], extent[cut], is_large[cut], (most / least)[cut]
        start = np.cumsum(count) - count
        segment = np.repeat(np.arange(len(count)), count)

        step = np.add.reduceat(stencil[ids], start) / count[:, None]
        step += 1e-9 * extent.max(1, keepdims=True) + np.finfo(float).tiny
        axis = np.where(is_large, (extent / step).argmax(1), extent.argmax(1))
        value = points[np.arange(len(ids)), axis[segment]]
        by_reach = ~is_large & (spread > 4)
        value = np.where(by_reach[segment], np.log(reach[ids]), value)

        low = np.minimum.reduceat(value, start)
        width = np.maximum.reduceat(value, start) - low
        value = (value - low[segment]) / np.where(width > 0, width, 1)[segment]  # [0, 1] in its segment
        sort = np.argsort(segment + value * (1 - 1e-6))
        order[where] = ids[sort]
        left = np.where(is_large, -(-count // size) // 2 * size, _widest_gap(value[sort], start, count))
        counts, is_open = _insert(counts, is_open, left)
    return order, counts


def _widest_gap(value: Array, start: Array, count: Array) -> Array:
    """Points left of the widest gap of each sorted segment; a gap weighs as much as its smaller side."""
    number = np.arange(len(value)) - np.repeat(start, count)  # points to the left of each point
    gap = np.diff(value, prepend=value[:1]) * np.minimum(number, np.repeat(count, count) - number)
    gap[start] = -1.0
    best = np.flatnonzero(gap == np.repeat(np.maximum.reduceat(gap, start), count))
    return number[best[np.searchsorted(best, start)]]


def _insert(counts: Array, is_open: Array, left: Array) -> tuple[Array, Array]:
    """Replace every open segment by its two parts."""
    parts = np.where(is_open, 2, 1)
    counts, fresh = np.repeat(counts, parts), np.repeat(is_open, parts)
    first = np.flatnonzero(fresh)[::2]
    counts[first + 1] -= left
    counts[first] = left
    return counts, fresh
