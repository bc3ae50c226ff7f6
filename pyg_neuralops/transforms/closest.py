"""The closest points on a set of points, segments or triangles: exact, with a k-d tree for the candidates."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

PAIRS = 1 << 19
"""Pairs of a point and a facet that are looked at together."""
FIRST, MORE = 8, 4
"""Candidates in the first round, and how many times as many in each further one."""


def closest_offsets(points: Tensor, facets: Tensor) -> Tensor:
    """From each point to the closest point of all facets, ``p_closest - p``.

    Facets are looked at in classes of alike size, those with the closest centres first, until no further one can come
    closer than what was found: a facet of radius r whose centre is at distance d is at least d - r away.

    Args:
        points: ``[N, D]`` float64.
        facets: corners ``[M, c, D]`` float64 of M >= 1 points, segments or triangles, c = 1, 2, 3.

    Returns:
        ``[N, D]``; among equally close points any one.
    """
    centres = facets.mean(1)
    radii = (facets - centres[:, None]).norm(dim=2).amax(1)
    sizes = (radii / radii.max().clamp_min(torch.finfo(radii.dtype).tiny)).clamp_min(1e-6).log2().floor()
    best = torch.full_like(points[:, 0], float("inf"))
    offsets = torch.zeros_like(points)
    for size in sizes.unique():
        _improve(points, facets[sizes == size], centres[sizes == size], radii[sizes == size], best, offsets)
    return offsets


def _improve(points: Tensor, facets: Tensor, centres: Tensor, radius: Tensor, best: Tensor, offsets: Tensor) -> None:
    """Write what facets of these radii ``[M]`` bring closer into ``best [N]`` and ``offsets [N, D]``."""
    tree, todo, seen, largest = cKDTree(centres.numpy()), torch.arange(len(points)), 0, radius.max()
    while len(todo):
        count, further = min(max(FIRST, MORE * seen), len(facets)), []
        for rows in todo.split(max(1, PAIRS // count)):
            near = tree.query(points[rows].numpy(), k=np.arange(seen + 1, count + 1), workers=torch.get_num_threads())
            distance, index = (torch.from_numpy(part) for part in near)  # [n, count - seen]
            row, column = (distance - radius[index] < best[rows, None]).nonzero().t()
            found = offsets_to(points[rows[row]].t(), facets[index[row, column]].permute(1, 2, 0))
            size = torch.full_like(distance, float("inf"))
            size[row, column] = found.square().sum(0).sqrt()
            least, which = size.min(1)
            better = least < best[rows]
            place = torch.zeros_like(index)
            place[row, column] = torch.arange(len(row))
            offsets[rows[better]] = found[:, place[better, which[better]]].t()
            best[rows] = torch.minimum(least, best[rows])
            further.append(rows[distance[:, -1] - largest < best[rows]])
        if count == len(facets):
            return
        todo, seen = torch.cat(further), count


def offsets_to(points: Tensor, facets: Tensor) -> Tensor:
    """From each point to the closest point of its own facet; ``[D, P], [c, D, P] -> [D, P]``"""
    first, tiny = facets[0] - points, torch.finfo(points.dtype).tiny
    if len(facets) == 1:
        return first
    u = facets[1] - facets[0]
    uu, su = (u * u).sum(0), (first * u).sum(0)
    if len(facets) == 2:
        return first + (-su / uu.clamp_min(tiny)).clamp(0, 1) * u
    # A triangle: the foot of the perpendicular where it lies inside, else the closest point of the edges.
    v = facets[2] - facets[0]
    uv, vv, sv = (u * v).sum(0), (v * v).sum(0), (first * v).sum(0)
    det = uu * vv - uv * uv
    safe = det.clamp_min(tiny)
    s, t = (uv * sv - vv * su) / safe, (uv * su - uu * sv) / safe
    inside = (s >= 0) & (t >= 0) & (s + t <= 1) & (det > 0)
    best = first + s * u + t * v
    outside = (~inside).nonzero().flatten()
    edges = [offsets_to(points[:, outside], facets[[a, b]][..., outside]) for a, b in combinations(range(3), 2)]
    found = torch.stack(edges)  # [3, D, P]
    least = found.square().sum(1).argmin(0)
    best[:, outside] = found[least, :, torch.arange(len(outside))].t()
    return best
