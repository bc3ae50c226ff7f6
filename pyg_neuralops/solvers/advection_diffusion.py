"""Advection-diffusion by a swirling wind on random star domains: linear SUPG elements, sparse LU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import skfem
from scipy.sparse.linalg import splu
from skfem.helpers import dot, grad

from .cosines import Cosines, random_cosines
from .star import mesh_star, random_star

Field = Callable[[np.ndarray], np.ndarray]
"""A function of points ``[2, ...]``."""
THIN = 1e-3
"""Diffusivity at and below which a sample is solved on a mesh twice as fine."""


@dataclass(frozen=True)
class Wind:
    """A divergence-free wind ``(cos a, sin a) + (d psi / dy, -d psi / dx)``, a the angle and psi the stream.

    A call takes points ``[2, ...]`` and gives the wind there, ``[2, ...]``.
    """

    angle: float
    stream: Cosines

    def __call__(self, points: np.ndarray) -> np.ndarray:
        slope_x, slope_y = self.stream.gradient(points)
        return np.stack([np.cos(self.angle) + slope_y, np.sin(self.angle) - slope_x])


def random_wind(rng: np.random.Generator, swirl: float = 0.5, waves: int = 6) -> Wind:
    """Unit wind in a random direction, plus swirl of root mean square ``swirl`` in the mean over winds.

    The stream has wave vectors 1.5 pi (i, j) with i, j from -2 to 2, not both 0; each wave is equally fast.
    """
    choices = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), axis=-1).reshape(-1, 2)
    wave = 1.5 * np.pi * rng.choice(np.delete(choices, 12, axis=0), waves)
    speed = swirl * rng.normal(size=waves) * np.sqrt(2 / waves)
    angle = rng.uniform(0, 2 * np.pi)
    return Wind(angle, Cosines(speed / np.linalg.norm(wave, axis=1), wave, rng.uniform(0, 2 * np.pi, waves)))


@dataclass(frozen=True)
class AdvectionDiffusionSample:
    """Solution of ``b . grad u - eps lap u = 0`` with data g where the wind b enters; dimensionless.

    Shapes:
        ``points [V, 2]``, ``wind [V, 2]``, ``g [V]`` inflow data, 0 away from the inflow, ``u [V]``, float64;
        ``inflow [V]`` and ``boundary [V]`` bool, vertices at the inflow and on the whole boundary;
        ``triangles [T, 3]`` int64; ``diffusivity`` eps; ``redraws`` of the interior points; ``residual`` of the
        linear system, relative.
    """

    points: np.ndarray
    triangles: np.ndarray
    wind: np.ndarray
    diffusivity: float
    g: np.ndarray
    inflow: np.ndarray
    boundary: np.ndarray
    u: np.ndarray
    redraws: int
    residual: float


@skfem.BilinearForm
def _operator(u, v, w):
    # Linear elements have no second derivatives: the stabilised residual is b . grad u - f.
    along = dot(w.b, grad(u))
    return w.eps * dot(grad(u), grad(v)) + along * (v + w.tau * dot(w.b, grad(v)))


@skfem.LinearForm
def _load(v, w):
    return w.f * (v + w.tau * dot(w.b, grad(v)))


@skfem.BilinearForm
def _entering(u, v, w):
    return w.speed * u * v


@skfem.LinearForm
def _given(v, w):
    return w.q * v


def _stabilisation(basis: skfem.Basis, wind: Field, diffusivity: float) -> np.ndarray:
    """tau = h / (2 |b|) (coth Pe - 1 / Pe), h the length of a triangle along the wind at its centre. ``[T, 1]``"""
    mesh = basis.mesh
    b = wind(mesh.p[:, mesh.t].mean(axis=1))  # [2, T]
    slopes = np.stack([basis.basis[i][0].grad[..., 0] for i in range(3)])  # [3, 2, T]
    rate = np.abs(np.einsum("idt,dt->it", slopes, b)).sum(axis=0) / 2  # |b| / h
    peclet = np.linalg.norm(b, axis=0) ** 2 / (2 * diffusivity * np.maximum(rate, 1e-12))
    limited = np.maximum(peclet, 1e-3)  # below, coth Pe - 1 / Pe cancels and is Pe / 3
    upwind = np.where(peclet > 1e-3, 1 / np.tanh(limited) - 1 / limited, peclet / 3)
    return (upwind / (2 * np.maximum(rate, 1e-12)))[:, None]


def solve_advection_diffusion(
    mesh: skfem.MeshTri,
    wind: Field,
    diffusivity: float,
    inflow: Field,
    source: Field | None = None,
    flux: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, float]:
    """Solve ``b . grad u - eps lap u = f`` with the conditions of Danckwerts; of second order in h.

    What enters is what the wind carries: ``-eps u_n + b_n u = b_n g`` where ``b_n < 0``, n the outward normal;
    elsewhere ``eps u_n = 0``. Setting u = g at the inflow instead would let g diffuse in as well.

    Args:
        mesh: a triangulation.
        wind: b, ``[2, ...] -> [2, ...]``, free of divergence.
        diffusivity: eps, above 0.
        inflow: g, ``[2, ...] -> [...]``.
        source: f, ``[2, ...] -> [...]``; 0 when None.
        flux: added to ``eps u_n`` on the whole boundary, of points and normals ``[2, ...]``; 0 when None.

    Returns:
        u at the vertices ``[V]``, and the relative residual of the linear system.

    Raises:
        ValueError: if ``diffusivity`` is not above 0.
        RuntimeError: if the relative residual of the linear system is above 1e-8.
    """
    if not diffusivity > 0:
        raise ValueError(f"diffusivity={diffusivity}; it must be above 0")
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=2)
    where = np.asarray(basis.global_coordinates())  # [2, T, quadrature points]
    b, tau = wind(where), _stabilisation(basis, wind, diffusivity) * np.ones(where.shape[1:])
    matrix = _operator.assemble(basis, b=b, tau=tau, eps=diffusivity)
    rim = skfem.FacetBasis(mesh, basis.elem, intorder=4)
    at, normal = np.asarray(rim.global_coordinates()), np.asarray(rim.normals)  # [2, edges, points]
    speed = np.maximum(-(wind(at) * normal).sum(axis=0), 0)
    matrix = (matrix + _entering.assemble(rim, speed=speed)).tocsc()
    rhs = _given.assemble(rim, q=speed * inflow(at) + (0 if flux is None else flux(at, normal)))
    if source is not None:
        rhs += _load.assemble(basis, f=source(where), b=b, tau=tau)
    u = splu(matrix).solve(rhs)  # with pivots, minimum degree on A + A^T is slower by up to a hundred times
    residual = float(np.linalg.norm(matrix @ u - rhs) / (np.linalg.norm(rhs) or 1.0))
    if not residual <= 1e-8:
        raise RuntimeError(f"sparse LU left a relative residual of {residual:.1e}; 1e-8 is allowed")
    return u, residual


def inflow_vertices(mesh: skfem.MeshTri, wind: Field) -> np.ndarray:
    """Whether a vertex ends a boundary edge through whose middle the wind enters, ``[V]`` bool."""
    rim = skfem.FacetBasis(mesh, skfem.ElementTriP1(), intorder=1)  # one point an edge
    entering = (wind(np.asarray(rim.global_coordinates())) * np.asarray(rim.normals)).sum(axis=0)[:, 0] < 0
    mark = np.zeros(mesh.nvertices, bool)
    mark[mesh.facets[:, mesh.boundary_facets()[entering]]] = True
    return mark


def sample_advection_diffusion(
    seed: int | Sequence[int], points: int = 730, swirl: float = 0.5, refine: int = 1
) -> AdvectionDiffusionSample:
    """One sample: a random star with a hole, wind, diffusivity (log-uniform in [1e-4, 1e-1]) and inflow data.

    The hole is part of the boundary like the rest: the wind leaves into it and brings g on its far side.

    Args:
        seed: entropy of ``numpy.random.SeedSequence``; the sample depends on it and the arguments alone.
        points: V, about; the spacing is the same for every sample.
        swirl: root mean square of what is added to the unit wind; 0 for a constant wind.
        refine: uniform refinements of the mesh for the solve, one more where eps <= 1e-3; the solution is kept
            at the V vertices.

    Raises:
        ValueError: if ``points`` is below 100, ``swirl`` or ``refine`` below 0.
        RuntimeError: naming the seed, if no mesh is found or the solve fails.
    """
    if points < 100 or not swirl >= 0 or refine < 0:
        raise ValueError(f"points={points}, swirl={swirl}, refine={refine}; they must be at least 100, 0 and 0")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    loops, wind = random_star(rng), random_wind(rng, swirl)
    diffusivity, g = float(10 ** rng.uniform(-4, -1)), random_cosines(rng)
    try:
        grid = mesh_star(loops, points, rng)
        mesh = skfem.MeshTri(grid.points.T.copy(), grid.triangles.T.copy(), sort_t=False)
        fine = mesh.refined(refine + (diffusivity <= THIN))
        u, residual = solve_advection_diffusion(fine, wind, diffusivity, g)
    except RuntimeError as error:
        raise RuntimeError(f"advection-diffusion sample with seed {seed}: {error}") from error
    inflow, at, count = inflow_vertices(mesh, wind), grid.points.T, len(grid.points)
    return AdvectionDiffusionSample(
        points=grid.points,
        triangles=grid.triangles,
        wind=wind(at).T,
        diffusivity=diffusivity,
        g=np.where(inflow, g(at), 0.0),
        inflow=inflow,
        boundary=np.arange(count) < grid.num_boundary,
        u=u[:count],  # refinement keeps the numbers of the vertices
        redraws=grid.redraws,
        residual=residual,
    )
