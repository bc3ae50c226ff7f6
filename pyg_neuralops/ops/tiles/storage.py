"""The flat, ragged form of tiles: what is stored with a sample and concatenated by a data loader."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..edges import smallest_reach
from .split import split_tiles

Array = NDArray
BLOCK = 1 << 22  # edges measured at once, which bounds the memory of a million points times 32 neighbours


def flat_tiles(
    edge_index: Tensor,
    pos: Tensor,
    tile_size: int,
    max_extent: float,
    batch: Tensor | None = None,
    period: Tensor | None = None,
) -> dict[str, Tensor]:
    """Tiles of a graph as flat tensors; the table of :class:`~pyg_neuralops.ops.EdgeTiles` explains them."""
    source, target = edge_index.detach().cpu().numpy()
    points = pos.detach().cpu().numpy().astype(np.float64)
    sides = np.zeros(points.shape[1]) if period is None else period.detach().cpu().numpy().astype(np.float64)
    degree, reach, stencil = _measure(source, target, points, sides)
    query = np.flatnonzero(degree)  # a node without incoming edges is in no tile
    rows = np.zeros(0, np.int64)
    if len(query):
        samples = None if batch is None else batch.detach().cpu().numpy()[query]
        order, rows = split_tiles(points[query], reach[query], stencil[query], tile_size, max_extent, samples, sides)
        query = query[order]

    parts = []
    while True:
        key, keys, bits, edges = _unions(source, target, query, rows, len(points))
        # Where neighbours hardly overlap (a hub, a random graph) smaller tiles do less work.
        halve = (2 * keys > 3 * rows) & (edges < 2 * keys) & (rows > 8)
        parts.append(_select(~halve, query, rows, key, keys, bits))
        if not halve.any():
            break
        query, rows = query[np.repeat(halve, rows)], rows[halve]
        rows = np.stack((rows // 2, rows - rows // 2), axis=1).ravel()
    query, rows, key, keys, bits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return {
        "tile_query_index": torch.from_numpy(query.astype(np.int32)),
        "tile_key_index": torch.from_numpy(key.astype(np.int32)),
        "tile_num_queries": torch.from_numpy(rows.astype(np.int32)),
        "tile_num_keys": torch.from_numpy(keys.astype(np.int32)),
        "tile_bits": torch.from_numpy(bits),
        "tile_reach": torch.from_numpy(reach).to(pos.dtype).clamp_min(smallest_reach(pos.dtype)),
    }


def _measure(source: Array, target: Array, points: Array, sides: Array) -> tuple[Array, Array, Array]:
    """Incoming edges ``[N]``, the longest of them ``[N]`` and the mean offset per axis ``[N, D]``."""
    n, dim = points.shape
    degree = np.bincount(target, minlength=n)
    longest, total = torch.zeros(n, dtype=torch.float64), np.zeros((n, dim))
    for at in range(0, len(source), BLOCK):
        j, i = source[at : at + BLOCK], target[at : at + BLOCK]
        square = np.zeros(len(j))
        for axis in range(dim):
            offset = points[j, axis] - points[i, axis]
            if sides[axis] > 0:
                offset -= sides[axis] * np.round(offset / sides[axis])
            square += offset * offset
            total[:, axis] += np.bincount(i, np.abs(offset), n)
        longest.scatter_reduce_(0, torch.from_numpy(i), torch.from_numpy(square), "amax")
    return degree, longest.sqrt_().numpy(), total / np.maximum(degree, 1)[:, None]


def _unions(source: Array, target: Array, query: Array, rows: Array, n: int) -> tuple[Array, Array, Array, Array]:
    """Key nodes of all tiles, keys per tile, membership bits and edges per tile.

    One sort of the integers (tile, source, row) brings the edges of a tile that share a source together:
    its distinct sources are the keys, and the count of those so far is an edge's column. Repeated edges
    set the same bit.
    """
    tile_of, row_of = np.full(n, -1), np.zeros(n, np.int64)
    tile_of[query] = np.repeat(np.arange(len(rows)), rows)
    row_of[query] = np.arange(len(query)) - np.repeat(np.cumsum(rows) - rows, rows)
    tile = tile_of[target]
    edges = np.bincount(tile[tile >= 0], minlength=len(rows))
    shift = int(rows.max(initial=1) - 1).bit_length()
    code = (((tile * n) + source) << shift) + row_of[target]
    if len(edges) and edges.sum() < len(code):
        code = code[tile >= 0]
    del tile
    code.sort()
    row = code & ((1 << shift) - 1)
    code >>= shift
    is_new = np.ones(len(code), bool)
    np.not_equal(code[1:], code[:-1], out=is_new[1:])
    first = np.flatnonzero(is_new)
    repeats = np.diff(first, append=len(code))
    pair = code[first]
    tile, key = pair // max(n, 1), pair % max(n, 1)
    keys = np.bincount(tile, minlength=len(rows))

    width = -(-keys // 8) * 8  # columns of a tile's mask, in whole bytes
    area = rows * width
    column = np.arange(len(key)) - (np.cumsum(keys) - keys)[tile]
    position = np.repeat((np.cumsum(area) - area)[tile] + column, repeats)
    position += row * np.repeat(width[tile], repeats)
    member = np.zeros(area.sum(), bool)
    member[position] = True
    return key, keys, np.packbits(member, bitorder="little"), edges


def _select(keep: Array, query: Array, rows: Array, key: Array, keys: Array, bits: Array) -> list[Array]:
    """The flat arrays of the tiles to keep."""
    if keep.all():
        return [query, rows, key, keys, bits]
    size = rows * -(-keys // 8)
    return [
        query[np.repeat(keep, rows)],
        rows[keep],
        key[np.repeat(keep, keys)],
        keys[keep],
        bits[np.repeat(keep, size)],
    ]
