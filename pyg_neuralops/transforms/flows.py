"""A wind between the nodes: linear in the cells of a mesh, by inverse distance in a cloud of points."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..data import CELLS
from ..data.simplicial import neighbours, simplicial
from .local_spacing import local_spacing

HOPS = 100  # cells that a line may cross
ROUNDING = 1e-9  # of a barycentric coordinate
TINY = 1e-300
MARGIN = 1.25  # not 1, where a first step ends if nothing is near


def flow_of(pos: Tensor, wind: Tensor, cells: Mapping[str, Tensor]) -> MeshFlow | CloudFlow:
    """The wind ``[N, D]``, with steps of a local spacing, in the domain of the cells, if any fill space."""
    cells = {name: kept for name, kept in cells.items() if CELLS[name].dim == pos.shape[1] and kept.numel()}
    value = torch.cat([wind, local_spacing(pos, cells)[:, None]], 1)
    return MeshFlow(pos, value, cells) if cells else CloudFlow(pos, value)


class MeshFlow:
    """Values at the nodes of cells, linear between them; a place is a simplex, and lines walk from one to the next.

    Curves from nodes without a cell end where they start; one that runs exactly through a corner of the boundary may
    end at it.

    Args:
        pos, value: at the nodes, ``[N, D]`` and ``[N, D + 1]``, float64. cells: which fill space.
    """

    def __init__(self, pos: Tensor, value: Tensor, cells: Mapping[str, Tensor]):
        dim = pos.shape[1]
        self.nodes, self.values = pos, value
        whole, simplices = simplicial(torch.cat([pos, value], 1), cells, dim)
        corners = whole[simplices]  # [T, D + 1, 2 D + 1]
        edges = (corners[:, 1:, :dim] - corners[:, :1, :dim]).mT  # [T, D, D], a column an edge
        volume, size = torch.linalg.det(edges).abs(), edges.abs().amax((1, 2))
        good = volume > 1e-12 * size**dim  # flat cells hold no point
        corners, self.simplices = corners[good], simplices[good]
        last = torch.linalg.inv(edges[good])
        slopes = torch.cat([-last.sum(1, keepdim=True), last], 1)  # [T, D + 1, D]
        rest = -(slopes @ corners[:, 0, :dim, None])  # [T, D + 1, 1]
        rest[:, 0] += 1
        # Barycentric coordinates and values, both affine in the position: [T, D + 1, D + 1], the constants last.
        self.coordinates = torch.cat([slopes, rest], 2)
        self.value = corners[..., dim:].mT @ self.coordinates
        self.neighbours = neighbours(self.simplices)

    def start(self) -> tuple[Tensor, Tensor, Tensor]:
        """Each node in the one of its simplices that the way upstream leads into."""
        dim, count = self.nodes.shape[1], len(self.nodes)
        simplex = torch.arange(len(self.simplices)).repeat_interleave(dim + 1)
        node = self.simplices.flatten()
        kept = (node < count).nonzero().flatten()
        simplex, node = simplex[kept], node[kept]
        rate = -(self.coordinates[simplex, :, :-1] * self.values[node, None, :-1]).sum(2)  # [P, D + 1]
        own = torch.nn.functional.one_hot(kept % (dim + 1), dim + 1).bool()
        inside = rate.masked_fill(own, torch.inf).amin(1) / rate.abs().amax(1).clamp_min(TINY)
        best = inside.new_full((count,), -torch.inf).scatter_reduce(0, node, inside, "amax")
        at = inside == best[node]
        place = torch.full((count,), -1)
        place[node[at]] = simplex[at]
        return self.nodes, self.values, place

    def move(self, points: Tensor, place: Tensor, to: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        place, part = place.clone(), torch.where(place >= 0, 1.0, 0.0).to(to.dtype)
        todo = (place >= 0).nonzero().flatten()
        for _ in range(HOPS):
            if not len(todo):
                break
            here = place[todo]
            maps = self.coordinates.index_select(0, here)
            new, old = _apply(maps, to[todo]), _apply(maps, points[todo])
            leaves = (old / (old - new).clamp_min(TINY)).clamp_(0, 1).masked_fill_(new >= -ROUNDING, torch.inf)
            # The side through which the line leaves; where it is a corner, one that leads on if there is any.
            onward = self.neighbours.index_select(0, here)
            side = (leaves + ROUNDING * (onward < 0)).argmin(1, keepdim=True)
            leave, onward = leaves.gather(1, side)[:, 0], onward.gather(1, side)[:, 0]
            ends = leave.isfinite() & (onward < 0)
            part[todo[ends]] = leave[ends]
            going = leave.isfinite() & (onward >= 0)
            todo = todo[going]
            place[todo] = onward[going]
        part[todo] = 0.0
        if not len(self.value):
            return self.values, place, part
        return _apply(self.value.index_select(0, place.clamp_min(0)), to), place, part


def _apply(maps: Tensor, points: Tensor) -> Tensor:
    """Affine maps ``[n, c, D + 1]`` of points ``[n, D]``. ``-> [n, c]``"""
    *slopes, found = maps.unbind(2)
    for slope, axis in zip(slopes, points.unbind(1), strict=True):
        found = torch.addcmul(found, slope, axis[:, None])
    return found


class CloudFlow:
    """Values at points, between them means of the 2 D + 1 nearest by the inverse square of their distance.

    The domain ends ``MARGIN`` local spacings from the nearest point.
    """

    def __init__(self, pos: Tensor, value: Tensor):
        self.nodes, self.values = pos, value
        self.tree = cKDTree(pos.numpy()) if len(pos) else None

    def start(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.nodes, self.values, torch.zeros(len(self.nodes), dtype=torch.long)

    def move(self, points: Tensor, place: Tensor, to: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.tree is None:
            return self.values, place, torch.ones(0, dtype=to.dtype)
        near = min(2 * to.shape[1] + 1, len(self.nodes))
        distance, index = self.tree.query(to.numpy(), near, workers=torch.get_num_threads())
        length, node = torch.from_numpy(distance).view(len(to), near), torch.from_numpy(index).view(len(to), near)
        share = 1 / length.square().clamp_min(torch.finfo(length.dtype).tiny)
        share = share / share.sum(1, keepdim=True)
        inside = length[:, 0] <= MARGIN * self.values[node[:, 0], -1]
        return (share[..., None] * self.values[node]).sum(1), place, inside.to(to.dtype)
