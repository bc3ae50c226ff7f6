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
        _improve(points, facets[sizes == size], centres[sizes == size], float(radii[sizes == size].max()), best, offsets)
    return offsets


def _improve(points: Tensor, facets: Tensor, centres: Tensor, radius: float, best: Tensor, offsets: Tensor) -> None:
    """Write what ``facets`` of at most this radius bring closer into ``best [N]`` and ``offsets [N, D]``."""
    tree, todo, count = cKDTree(centres.numpy()), torch.arange(len(points)), FIRST
    while len(todo):
        count = min(count, len(facets))
        further = []
        for rows in todo.split(max(1, PAIRS // count)):
            distance, index = tree.query(
                points[rows].numpy(), k=np.arange(1, count + 1), workers=torch.get_num_threads()
            )
            found = offsets_to(points[rows, None], facets[torch.from_numpy(index)])  # [n, count, D]
            least, which = found.square().sum(2).min(1)
            better = least.sqrt() < best[rows]
            offsets[rows[better]] = found[better, which[better]]
            best[rows[better]] = least[better].sqrt()
            further.append(rows[torch.from_numpy(distance[:, -1]) - radius < best[rows]])
        if count == len(facets):
            return
        todo, count = torch.cat(further), count * MORE


def offsets_to(points: Tensor, facets: Tensor) -> Tensor:
    """From each point to the closest point of its facet; ``[..., D], [..., c, D] -> [..., D]``"""
    corners = facets.unbind(-2)
    if len(corners) == 1:
        return corners[0] - points
    if len(corners) == 2:
        along, start = corners[1] - corners[0], corners[0] - points
        part = -(start * along).sum(-1) / along.square().sum(-1).clamp_min(torch.finfo(along.dtype).tiny)
        return start + part.clamp(0, 1)[..., None] * along
    # A triangle: the foot of the perpendicular where it lies inside, else the closest point of the edges.
    u, v, start = corners[1] - corners[0], corners[2] - corners[0], corners[0] - points
    uu, uv, vv, su, sv = ((a * b).sum(-1) for a, b in ((u, u), (u, v), (v, v), (start, u), (start, v)))
    det = uu * vv - uv * uv
    safe = det.clamp_min(torch.finfo(det.dtype).tiny)
    s, t = (uv * sv - vv * su) / safe, (uv * su - uu * sv) / safe
    inside = (s >= 0) & (t >= 0) & (s + t <= 1) & (det > 0)
    best = start + s[..., None] * u + t[..., None] * v
    least = torch.where(inside, best.square().sum(-1), float("inf"))
    for one, two in combinations(range(3), 2):
        edge = offsets_to(points, facets[..., [one, two], :])
        size = edge.square().sum(-1)
        best = torch.where((size < least)[..., None], edge, best)
        least = torch.minimum(size, least)
    return best
