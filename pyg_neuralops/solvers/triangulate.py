"""Triangulations of polygons with holes: fixed boundary, smoothed interior points, scipy's Delaunay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import Delaunay, cKDTree

from .polygon import Spacing, area, contains, edges, spacing_at
from .triangles import boundary_edges, doubled_areas, smallest_angle

CLEARANCE = 0.62
"""Least distance of an interior point from the boundary, in spacings (see :func:`.polygon.resample`)."""


@dataclass(frozen=True)
class Triangulation:
    """A conforming triangulation of a polygon with holes, in the unit of the polygon.

    Shapes:
        ``points [V, 2]`` float64, the points of the loops first and in their order, then the interior ones;
        ``triangles [T, 3]`` int64, counter-clockwise; ``num_boundary`` points on the loops; ``redraws`` of the
        interior points before this triangulation was accepted.
    """

    points: np.ndarray
    triangles: np.ndarray
    num_boundary: int
    redraws: int


class _Domain:
    """The polygon, and which points may be interior ones."""

    def __init__(self, loops: Sequence[np.ndarray], spacing: Spacing):
        self.loops, self.spacing = loops, spacing
        self.boundary = np.concatenate(loops)
        following = np.concatenate([np.roll(loop, -1, axis=0) for loop in loops])
        # Eight points an edge: the distance to the nearest is that to the edge within 0.003 spacings.
        parts = np.linspace(0, 1, 8, endpoint=False)[:, None, None]
        dense = (self.boundary + (following - self.boundary) * parts).reshape(-1, 2)
        self.finest = float(spacing_at(spacing, dense).min())
        self.tree = cKDTree(dense)

    def clear(self, points: np.ndarray) -> np.ndarray:
        return self.tree.query(points)[0] > CLEARANCE * spacing_at(self.spacing, points)

    def triangulate(self, interior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All points, and the Delaunay triangles that lie inside, counter-clockwise."""
        points = np.concatenate([self.boundary, interior])
        triangles = Delaunay(points).simplices.astype(np.int64)
        # Once the boundary edges are present, only triangles between boundary points can lie outside.
        between = (triangles < len(self.boundary)).all(axis=1)
        keep = ~between
        keep[between] = contains(self.loops, points[triangles[between]].mean(axis=1))
        triangles = triangles[keep]
        doubled = doubled_areas(points, triangles)
        triangles[doubled < 0] = triangles[doubled < 0][:, [0, 2, 1]]
        # Three boundary points on one line may come back as a flat triangle.
        return points, triangles[np.abs(doubled) > 1e-9 * self.finest**2]


def triangulate(
    loops: Sequence[np.ndarray],
    spacing: Spacing,
    rng: np.random.Generator,
    *,
    num_points: int | None = None,
    min_angle: float = 10.0,
    attempts: int = 20,
    smoothing: int = 12,
) -> Triangulation:
    """A conforming Delaunay triangulation whose boundary points are those of ``loops``, as given.

    Interior points start on a shaken triangular lattice, thinned where the spacing is wide, and move towards
    the weighted centroids of the triangles around them (Chen and Holst 2011, "Efficient mesh optimization
    schemes based on optimal Delaunay triangulations"). They keep 0.62 spacings from the boundary, so that
    the circle on every boundary edge stays empty and the edge is Delaunay. The result is checked always.

    Args:
        loops: closed polygons ``[n, 2]`` from :func:`.polygon.resample`, the outer one first, then the holes.
        spacing: length of an edge, a number or a function of points; that with which the loops were sampled.
        rng: source of the interior points.
        num_points: exact number of points, boundary included; about what the spacing gives when None.
        min_angle: degrees; interior points are redrawn when an angle is smaller.
        attempts: draws after which it gives up.
        smoothing: sweeps.

    Raises:
        ValueError: if ``num_points`` leaves no interior point.
        RuntimeError: if no draw conforms to the boundary and meets ``min_angle``; names what was wrong.
    """
    domain = _Domain(loops, spacing)
    wanted = None if num_points is None else num_points - len(domain.boundary)
    if wanted is not None and wanted < 1:
        raise ValueError(
            f"num_points={num_points}; the boundary alone has {len(domain.boundary)} points, so at least "
            f"{len(domain.boundary) + 1} are needed"
        )
    fault = ""
    for redraws in range(attempts):
        interior = _draw(domain, wanted, rng)
        for _ in range(smoothing):
            interior = _smooth(domain, interior)
        points, triangles = domain.triangulate(interior)
        fault = _fault(domain, points, triangles, min_angle)
        if not fault:
            return Triangulation(points, triangles, len(domain.boundary), redraws)
    raise RuntimeError(f"no triangulation in {attempts} draws of the interior points: {fault}")


def _draw(domain: _Domain, wanted: int | None, rng: np.random.Generator) -> np.ndarray:
    low, high = domain.boundary.min(axis=0), domain.boundary.max(axis=0)
    scale = 1.0
    for slack in np.linspace(0.02, 0.2, 20):
        step = np.array([1.0, np.sqrt(0.75)]) * domain.finest * scale
        columns, rows = np.ceil((high - low) / step).astype(int) + 2
        row, column = np.divmod(np.arange(rows * columns), columns)
        points = low + step * (np.stack([column + 0.5 * (row % 2), row], axis=1) - rng.random(2))
        points += rng.normal(0, 0.2 * step[0], points.shape)
        if callable(domain.spacing):
            points = points[rng.random(len(points)) < (domain.finest / spacing_at(domain.spacing, points)) ** 2]
        points = points[contains(domain.loops, points)]
        points = points[domain.clear(points)]
        if wanted is None:
            return points
        # Thinning a lattice leaves vacancies, so it is scaled until few points are too many.
        most = (1 + slack) * wanted + 4
        if wanted <= len(points) <= most:
            return rng.permutation(points)[:wanted]
        scale *= np.sqrt(max(len(points), 1) / (0.5 * (wanted + most)))
    raise RuntimeError(f"no lattice gives {wanted} interior points; change the spacing or the number of points")


def _smooth(domain: _Domain, interior: np.ndarray) -> np.ndarray:
    points, triangles = domain.triangulate(interior)
    centre = points[triangles].mean(axis=1)  # [T, 2]
    weight = doubled_areas(points, triangles)
    if callable(domain.spacing):  # the density that equidistributes at this spacing
        weight = weight * (domain.finest / spacing_at(domain.spacing, centre)) ** 4
    corner, weights = triangles.ravel(), np.repeat(weight, 3)
    total = np.bincount(corner, weights, len(points))
    sums = [np.bincount(corner, np.repeat(weight * c, 3), len(points)) for c in centre.T]
    moved = (np.stack(sums, axis=1) / np.maximum(total, 1e-300)[:, None])[len(domain.boundary) :]
    return np.where(domain.clear(moved)[:, None], moved, interior)


def _fault(domain: _Domain, points: np.ndarray, triangles: np.ndarray, min_angle: float) -> str:
    """What is wrong with a triangulation; empty if nothing is."""
    wanted, found = {tuple(e) for e in edges(domain.loops)}, {tuple(e) for e in boundary_edges(triangles)}
    if wanted != found:
        return f"{len(wanted - found)} boundary edges are missing and {len(found - wanted)} do not belong"
    if len(np.unique(triangles)) != len(points):
        return f"{len(points) - len(np.unique(triangles))} points are in no triangle"
    covered = 0.5 * doubled_areas(points, triangles).sum()
    if abs(covered - area(domain.loops)) > 1e-9 * area(domain.loops):
        return f"the triangles cover an area of {covered:.6g}; the domain has {area(domain.loops):.6g}"
    angle = smallest_angle(points, triangles)
    return "" if angle >= min_angle else f"the smallest angle is {angle:.1f} degrees; {min_angle} is asked"
