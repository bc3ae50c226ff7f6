"""The closest points on a set of points, segments or triangles: exact, by a tree of boxes."""

from __future__ import annotations

from itertools import combinations

import torch
from scipy.spatial import cKDTree
from torch import Tensor

POINTS = 1 << 13
"""Points that go through the tree together."""


def closest_offsets(points: Tensor, facets: Tensor) -> Tensor:
    """From each point to the closest point of all facets, ``p_closest - p``.

    The facet with the closest centre bounds the distance from above; what has a box that is farther is left out, from
    halves of the facets down to each of them.

    Args:
        points: ``[N, D]`` float64.
        facets: corners ``[M, c, D]`` float64 of M >= 1 points, segments or triangles, c = 1, 2, 3.

    Returns:
        ``[N, D]``; among equally close points any one.
    """
    middle = facets.mean((0, 1))
    facets, points = facets - middle, points - middle
    near = cKDTree(facets.mean(1).numpy()).query(points.numpy(), workers=torch.get_num_threads())[1]
    bounds = offsets_to(points.t(), facets[torch.from_numpy(near)].permute(1, 2, 0)).norm(dim=0)
    bounds = bounds + 1e-12 * (facets.abs().max() + points.abs().amax(1))  # rounding loses no facet
    facets = _in_halves(facets)
    boxes = _boxes(facets)
    offsets = torch.empty_like(points)
    for rows in torch.arange(len(points)).split(POINTS):
        here, bound = points[rows].t(), bounds[rows].square()  # [D, n], [n]
        row = torch.arange(len(rows))
        node = torch.zeros_like(row)
        for axes, low, high in boxes:
            row, node = row.repeat(2), torch.cat([2 * node, 2 * node + 1])
            along = (axes[:, :, node] * here[:, row]).sum(1)  # [D, P]
            away = torch.maximum(low[:, node] - along, along - high[:, node]).clamp_min_(0)
            kept = away.square_().sum(0) <= bound[row]
            row, node = row[kept], node[kept]
        found = offsets_to(here[:, row], facets[node].permute(1, 2, 0))  # [D, P]
        size = found.square().sum(0)
        least = torch.full_like(bound, float("inf")).scatter_reduce_(0, row, size, "amin")
        best = size == least[row]
        offsets[rows[row[best]]] = found[:, best].t()
    return offsets


def _in_halves(facets: Tensor) -> Tensor:
    """Facets ``[2^L, c, D]``, some of them repeated, whose halves, quarters ... lie together in space, L >= 1."""
    levels = max(1, (len(facets) - 1).bit_length())
    count = 1 << levels
    order = torch.arange(count)[None] % len(facets)
    centres = facets.mean(1)
    while order.shape[1] > 1:
        here = centres[order]  # [parts, size, D]
        axis = (here.amax(1) - here.amin(1)).argmax(1)
        along = here.gather(2, axis[:, None, None].expand(-1, order.shape[1], 1))[..., 0]
        order = order.gather(1, along.argsort(1)).view(2 * len(order), -1)
    return facets[order[:, 0]]


def _boxes(facets: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Boxes of the halves, quarters ... along their principal axes, flat where facets are: axes ``[D, D, 2^level]``,
    coordinates along the first times points' along the second, and the least and greatest of these ``[D, 2^level]``."""
    found = []
    for level in range(1, len(facets).bit_length()):
        corners = facets.reshape(1 << level, -1, facets.shape[2])  # [parts, corners, D]
        spread = corners - corners.mean(1, keepdim=True)
        axes = torch.linalg.eigh(spread.mT @ spread).eigenvectors
        along = corners @ axes
        found.append((axes.permute(2, 1, 0).contiguous(), along.amin(1).t(), along.amax(1).t()))
    return found


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
