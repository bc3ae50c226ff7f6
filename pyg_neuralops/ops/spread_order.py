"""``spread_order``: an order of points whose every beginning is spread over them evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spread_order(points: NDArray, seed: int = 0) -> NDArray:
    """Place of each point in an order of which every beginning is a fair sample of the points, in every region.

    Generalised random-tessellation stratified sampling (Stevens and Olsen 2004, "Spatially balanced sampling of
    natural resources"): the points stand in a row along a space-filling curve (Morton's); of two neighbours in the row
    chance sends one to the first half of the order and the other to the second, and so on with pairs of pairs, so that
    of m points out of n every n / m successive ones give about one. Regions count by their points, not by their volume.

    The order depends on the positions alone, not on how points are numbered (coincident points apart).

    Shapes:
        ``points [n, D] -> [n]``, a permutation of 0 to n - 1.
    """
    n, _dim = points.shape
    row = np.empty(n, np.int64)
    row[np.argsort(_morton(points), kind="stable")] = np.arange(n)
    bits = max(n - 1, 1).bit_length()
    chance = np.random.RandomState(seed)  # the generator whose numbers no version of NumPy changes
    place = np.zeros(n, np.int64)
    for level in range(bits):
        swap = chance.randint(0, 2, 1 << (bits - level - 1))
        place = 2 * place + (((row >> level) & 1) ^ swap[row >> (level + 1)])
    order = np.empty(n, np.int64)
    order[np.argsort(place)] = np.arange(n)
    return order


def _morton(points: NDArray) -> NDArray:
    """Codes ``[n]`` of the cells of a fine grid along Morton's curve: the bits of the axes' numbers in turn."""
    n, dim = points.shape
    low, bits = points.min(0, initial=np.inf), 60 // max(dim, 2)
    side = np.ptp(points, axis=0).max(initial=0) if n else 0.0
    cell = ((points - low) * ((2**bits - 1) / (side or 1.0))).astype(np.int64)
    code = np.zeros(n, np.int64)
    for bit in reversed(range(bits)):
        for axis in range(dim):
            code = 2 * code + ((cell[:, axis] >> bit) & 1)
    return code
