"""A unit cell with a random void, and its triangulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skfem
from scipy.spatial import cKDTree

from .polygon import resample
from .triangles import doubled_areas
from .triangulate import Triangulation, triangulate

CENTRE = 0.5
MODES = 21
ANGLES = np.arange(42) * 2 * np.pi / 42
"""Where the radius of the void is told, in radians from the x axis, counter-clockwise."""
LEAST_POINTS = 200
AT_VOID, GROWTH = 0.3, 5.0
"""Spacing of the points at the void, over that far from it, and its increase per m of distance."""
SIDES = ((0, [0, 1]), (1, [0, 1]), (0, [1, 0]), (1, [1, 0]))

Radius = Callable[[np.ndarray], np.ndarray]
"""Radius of a void by the angle."""


def random_void(rng: np.random.Generator) -> Radius:
    r"""Radius of a void about the centre as a function of the angle, between 0.2 and 0.4.

    :math:`r = 0.2 + 0.2 / (1 + e^z)` with :math:`z \sim N(0, 4^2 (-d^2/d\theta^2 + 3^2)^{-1})` on the circle,
    the first 21 wave numbers of its expansion; Li et al. (arXiv:2207.05209).
    """
    k = np.arange(MODES)
    scale = 4 / np.sqrt(k**2 + 9.0) / np.sqrt(np.where(k == 0, 2 * np.pi, np.pi))
    cosine, sine = scale * rng.standard_normal((2, MODES))

    def radius(angle: np.ndarray) -> np.ndarray:
        phase = np.multiply.outer(angle, k)
        return 0.2 + 0.2 / (1 + np.exp(np.cos(phase) @ cosine + np.sin(phase) @ sine))

    return radius


def on_void(points: np.ndarray, radius: Radius) -> np.ndarray:
    """Points ``[n, 2]`` moved along the ray from the centre onto the edge of the void."""
    x, y = (points - CENTRE).T
    angle = np.arctan2(y, x)
    return CENTRE + radius(angle)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def mesh_cell(radius: Radius, points: int, rng: np.random.Generator) -> Triangulation:
    """The cell in exactly ``points`` points, those of the square first, then those of the void.

    The void bends as sharply as with a radius of 0.015, so points are three times as dense there as far away.
    """
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    void = on_void(CENTRE + np.stack([np.cos(angle), np.sin(angle)], axis=1), radius)
    tree = cKDTree(void)

    def relative(where: np.ndarray) -> np.ndarray:
        return np.minimum(1.0, AT_VOID + GROWTH * tree.query(where)[0])

    # Equilateral triangles of side s have 1 point per s² sqrt(3)/2, and half a point more per s of the boundary.
    middle = (np.arange(100) + 0.5) / 100
    inside = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    from_centre = inside - CENTRE
    inside = inside[np.linalg.norm(from_centre, axis=1) > radius(np.arctan2(*from_centre.T[::-1]))]
    sides = np.concatenate([np.stack([middle, 0 * middle + end], axis=1)[:, order] for end, order in SIDES])
    length = np.linalg.norm(void - np.roll(void, 1, axis=0), axis=1).sum() / AT_VOID + 4 * (1 / relative(sides)).mean()
    density = (1 / relative(inside) ** 2).sum() / 100**2 / np.sqrt(0.75)
    widest = (length / 2 + np.sqrt(length**2 / 4 + 4 * points * density)) / (2 * points)

    def spacing(where: np.ndarray) -> np.ndarray:
        return widest * relative(where)

    loops = [resample(square, spacing, range(4)), on_void(resample(void, spacing), radius)]
    return triangulate(loops, spacing, rng, num_points=points)


def random_cell(rng: np.random.Generator, points: int) -> tuple[Radius, Triangulation, int]:
    """A random void, the cell in ``points`` points, and the number of redraws of either.

    A void that bends too sharply for its points is redrawn: 1 in 10 at 972 points, 3 in 4 at 200.

    Raises:
        RuntimeError: if 50 voids are refused; says why the last one was.
    """
    fault = ""
    for refused in range(50):
        radius = random_void(rng)
        try:
            grid = mesh_cell(radius, points, rng)
        except RuntimeError as error:
            fault = str(error)
            continue
        if _follows(grid, radius):
            return radius, grid, refused + grid.redraws
        fault = "it bends too sharply for its points"
    raise RuntimeError(f"no mesh for 50 voids, the last one: {fault}")


def _follows(grid: Triangulation, radius: Radius) -> bool:
    """Whether the curve between two points of the void stays clear of the other sides of their triangle.

    Then the triangles of all refinements are sound, whatever their number: the void does not depend on it.
    """
    count, last = grid.num_boundary, grid.num_boundary - 1
    first = np.flatnonzero(np.abs(grid.points - CENTRE).max(axis=1) < 0.45)[0]
    end, start, third = np.concatenate([np.roll(grid.triangles, k, axis=1) for k in range(3)]).T
    at = (start >= first) & (start < count) & (end == np.where(start == last, first, start + 1))
    a, b, c = (grid.points[index[at], None] for index in (start, end, third))  # [E, 1, 2] each
    chord = a + (b - a) * np.linspace(0, 1, 18)[1:-1, None]
    curve = on_void(chord.reshape(-1, 2), radius).reshape(chord.shape)  # [E, 16, 2]
    bulge = _cross(curve - a, b - a) / _cross(c - a, b - a)  # over the height of the triangle
    sines = [_sine(c - a, curve - a).min(), _sine(curve - b, c - b).min()]
    return bool(min(sines) > 0.03 and bulge.max() < 0.4)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def _sine(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _cross(u, v) / (np.linalg.norm(u, axis=-1) * np.linalg.norm(v, axis=-1))


def refine_cell(grid: Triangulation, radius: Radius, refine: int, refine_void: int) -> skfem.MeshTri:
    """The mesh refined everywhere, then at the void; new points of its edge lie on the true curve.

    The points of ``grid`` keep their numbers.

    Raises:
        RuntimeError: if a triangle is crushed because the void bends too sharply for its mesh.
    """
    mesh = skfem.MeshTri(grid.points.T.copy(), grid.triangles.T.copy(), sort_t=False)
    for level in range(refine + refine_void):
        if level < refine:
            mesh = mesh.refined()
        else:
            at_void = np.isin(mesh.t, _void_nodes(mesh)).any(axis=0)
            mesh = mesh.refined(np.flatnonzero(at_void))
        nodes, moved = _void_nodes(mesh), mesh.p.copy()
        moved[:, nodes] = on_void(mesh.p[:, nodes].T, radius).T
        ratio = doubled_areas(moved.T, mesh.t.T) / doubled_areas(mesh.p.T, mesh.t.T)
        if not ratio.min() >= 0.05:
            raise RuntimeError(f"a triangle at the void shrinks to {ratio.min():.2f} of its area; use more points")
        mesh = skfem.MeshTri(moved, mesh.t, sort_t=False)
    return mesh


def _void_nodes(mesh: skfem.MeshTri) -> np.ndarray:
    nodes = mesh.boundary_nodes()
    return nodes[np.abs(mesh.p[:, nodes] - CENTRE).max(axis=0) < 0.45]  # the void ends at 0.4, the cell at 0.5
