import numpy as np
import pytest
import skfem
from scipy.spatial import cKDTree

from pyg_neuralops.solvers.anisotropic_diffusion import (
    conductivity,
    sample_anisotropic_diffusion,
)
from pyg_neuralops.solvers.cosines import random_cosines
from pyg_neuralops.solvers.diffusion import solve_diffusion
from pyg_neuralops.solvers.star import mesh_star, random_star
from pyg_neuralops.solvers.triangles import smallest_angle


def random_mesh(seed, points=120):
    rng = np.random.default_rng(seed)
    grid = mesh_star(random_star(rng), points, rng)
    return skfem.MeshTri(grid.points.T.copy(), grid.triangles.T.copy(), sort_t=False)


@pytest.mark.parametrize("ratio", [1, 10, 100, 1000])
def test_order_three_on_a_manufactured_solution(ratio):
    k = conductivity(0.6, ratio)

    def exact(p):
        return np.sin(4 * p[0]) * np.cos(3 * p[1])

    def source(p):
        mixed = -12 * np.cos(4 * p[0]) * np.sin(3 * p[1])
        return (16 * k[0, 0] + 9 * k[1, 1]) * exact(p) - 2 * k[0, 1] * mixed

    mesh, errors = random_mesh(3), []
    for level in (0, 1, 2):
        fine = mesh.refined(level)
        u, residual = solve_diffusion(fine, k, source, exact)
        errors.append(np.linalg.norm(u - exact(fine.p)) / np.linalg.norm(exact(fine.p)))
        assert residual < 1e-10
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders.min() > 2.4, (errors, orders)
    assert errors[-1] < 1e-5


def test_quadratics_are_exact():
    k = conductivity(2.5, 300.0)

    def exact(p):
        return 1 + p[0] - 2 * p[1] + p[0] ** 2 + 3 * p[0] * p[1]

    mesh = random_mesh(2)
    u, _ = solve_diffusion(mesh, k, lambda p: -2 * k[0, 0] - 6 * k[0, 1] + 0 * p[0], exact)
    np.testing.assert_allclose(u, exact(mesh.p), atol=1e-10)


def test_the_tensor_conducts_best_along_its_direction():
    angle, ratio = 0.4, 100.0
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    k = conductivity(angle, ratio)
    np.testing.assert_allclose(k @ along, along)
    np.testing.assert_allclose(k @ across, across / ratio)
    np.testing.assert_allclose(conductivity(angle, 1.0), np.eye(2), atol=1e-15)


def test_it_is_isotropic_diffusion_on_a_stretched_domain():
    angle, ratio = 1.1, 50.0
    values, vectors = np.linalg.eigh(conductivity(angle, ratio))
    stretch = vectors @ np.diag(values**-0.5) @ vectors.T  # K^(-1/2)
    mesh, g = random_mesh(5), random_cosines(np.random.default_rng(5))
    u, _ = solve_diffusion(mesh, conductivity(angle, ratio), 0.0, g)
    stretched = skfem.MeshTri(stretch @ mesh.p, mesh.t, sort_t=False)
    expected, _ = solve_diffusion(
        stretched, np.ones(mesh.nelements), 0.0, lambda p: g(np.tensordot(np.linalg.inv(stretch), p, 1))
    )
    np.testing.assert_allclose(u, expected, atol=1e-9)


@pytest.mark.parametrize("ratio", [1.0, 30.0])
def test_what_flows_in_flows_out(ratio):
    g, k, shares = random_cosines(np.random.default_rng(6)), conductivity(0.8, ratio), []
    for level in (0, 2):
        mesh = random_mesh(7).refined(level)
        fine = mesh.refined(1)  # its vertices are the nodes of quadratic elements on the other
        u, _ = solve_diffusion(fine, k, 0.0, g)
        rim = skfem.FacetBasis(mesh, skfem.ElementTriP2())
        slope = np.asarray(rim.interpolate(u[cKDTree(fine.p.T).query(rim.doflocs.T)[1]]).grad)
        outward = np.einsum("itq,ij,jtq->tq", np.asarray(rim.normals), k, slope)
        shares.append(abs((outward * rim.dx).sum()) / (np.abs(outward) * rim.dx).sum())
    assert shares[1] < 0.01, shares
    assert shares[1] < shares[0], shares


@pytest.mark.parametrize("ratio", [1.0, 1000.0])
def test_the_boundary_bounds_the_solution(ratio):
    mesh, g = random_mesh(6, 200).refined(1), random_cosines(np.random.default_rng(6))
    u, _ = solve_diffusion(mesh, conductivity(0.8, ratio), 0.0, g)
    limits = g(mesh.p[:, mesh.boundary_nodes()])
    room = 0.02 * np.ptp(limits)  # quadratic elements keep the maximum principle only nearly
    assert limits.min() - room < u.min()
    assert u.max() < limits.max() + room


def test_samples_are_valid_and_depend_on_their_seed_alone():
    ratios, angles = [], []
    for index in range(10):
        sample = sample_anisotropic_diffusion((0, 0, index), points=150, refine=0)
        again = sample_anisotropic_diffusion([0, 0, index], points=150, refine=0)
        np.testing.assert_array_equal(sample.u, again.u)
        np.testing.assert_array_equal(sample.triangles, again.triangles)
        assert smallest_angle(sample.points, sample.triangles) > 10
        assert 130 < len(sample.points) < 175
        np.testing.assert_allclose(sample.u[sample.boundary], sample.g[sample.boundary], rtol=0, atol=1e-14)
        assert (sample.g[~sample.boundary] == 0).all()
        room = 0.1 * np.ptp(sample.g)
        assert sample.g.min() - room < sample.u.min()
        assert sample.u.max() < sample.g.max() + room
        ratios.append(sample.ratio)
        angles.append(sample.angle)
    assert 1 <= min(ratios) < 30 < max(ratios) <= 1000
    assert 0 <= min(angles) < 1
    assert 2 < max(angles) < np.pi


def test_refining_the_solve_converges():
    solutions = [sample_anisotropic_diffusion((0, 0, 1), points=200, refine=level).u for level in range(4)]
    errors = [np.linalg.norm(u - solutions[-1]) / np.linalg.norm(solutions[-1]) for u in solutions[:-1]]
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 0.05


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="points=50"):
        sample_anisotropic_diffusion(0, points=50)
    with pytest.raises(ValueError, match=r"max_ratio=0\.5"):
        sample_anisotropic_diffusion(0, max_ratio=0.5)
    with pytest.raises(ValueError, match="symmetric and positive definite"):
        solve_diffusion(skfem.MeshTri(), np.array([[1.0, 2.0], [2.0, 1.0]]), 0.0, lambda p: p[0])
