import numpy as np
import pytest
import skfem

from pyg_neuralops.solvers.advection_diffusion import (
    inflow_vertices,
    random_wind,
    sample_advection_diffusion,
    solve_advection_diffusion,
)
from pyg_neuralops.solvers.cosines import random_cosines
from pyg_neuralops.solvers.star import mesh_star, random_star
from pyg_neuralops.solvers.triangles import smallest_angle


def random_mesh(seed, points=120):
    rng = np.random.default_rng(seed)
    grid = mesh_star(random_star(rng), points, rng)
    return skfem.MeshTri(grid.points.T.copy(), grid.triangles.T.copy(), sort_t=False)


@pytest.mark.parametrize("eps", [1e-1, 1e-2, 1e-3, 1e-4])
def test_order_two_on_a_manufactured_solution_with_danckwerts_inflow(eps):
    wind = random_wind(np.random.default_rng(5))

    def exact(p):
        return np.sin(2 * p[0] + p[1]) * np.cos(3 * p[1])

    def slope(p):
        s, c, s3, c3 = np.sin(2 * p[0] + p[1]), np.cos(2 * p[0] + p[1]), np.sin(3 * p[1]), np.cos(3 * p[1])
        return np.stack([2 * c * c3, c * c3 - 3 * s * s3])

    def source(p):
        laplacian = -14 * exact(p) - 6 * np.cos(2 * p[0] + p[1]) * np.sin(3 * p[1])
        return (wind(p) * slope(p)).sum(0) - eps * laplacian

    def flux(p, normal):
        return eps * (slope(p) * normal).sum(0)

    mesh, errors = random_mesh(3), []
    for level in (1, 2, 3):
        fine = mesh.refined(level)
        u, residual = solve_advection_diffusion(fine, wind, eps, exact, source, flux)
        errors.append(np.linalg.norm(u - exact(fine.p)) / np.linalg.norm(exact(fine.p)))
        assert residual < 1e-10
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders.min() > 1.75, (errors, orders)
    assert orders[-1] > 1.85, (errors, orders)


def test_what_enters_is_what_the_wind_carries():
    # f = 1 in a wind along x: eps u'' = u' - 1, eps u'(0) = u(0) - g, u'(1) = 0.
    eps, g, errors = 0.2, 0.7, []
    for cells in (8, 16, 32):
        mesh = skfem.MeshTri.init_tensor(np.linspace(0, 1, cells + 1), np.linspace(0, 0.5, cells // 2 + 1))
        u, _ = solve_advection_diffusion(
            mesh, lambda p: np.stack([1 + 0 * p[0], 0 * p[0]]), eps, lambda p: g + 0 * p[0], lambda p: 1 + 0 * p[0]
        )
        x = mesh.p[0]
        start = g + eps * (1 - np.exp(-1 / eps))
        exact = start + x - eps * (np.exp((x - 1) / eps) - np.exp(-1 / eps))
        errors.append(np.sqrt(np.mean((u - exact) ** 2)))
    assert errors[-1] < 1e-4
    assert np.log2(np.array(errors[:-1]) / errors[1:]).min() > 1.9, errors


@pytest.mark.parametrize("eps", [1e-4, 1e-1])
def test_constant_inflow_data_stays_constant_and_what_enters_leaves(eps):
    mesh, rng = random_mesh(4, 400), np.random.default_rng(1)
    wind, g = random_wind(rng), random_cosines(rng)
    u, _ = solve_advection_diffusion(mesh, wind, eps, lambda p: 2 + 0 * p[0])
    np.testing.assert_allclose(u, 2, atol=1e-9)
    u, _ = solve_advection_diffusion(mesh.refined(1), wind, eps, g)
    rim = skfem.FacetBasis(mesh.refined(1), skfem.ElementTriP1(), intorder=8)
    at, normal = np.asarray(rim.global_coordinates()), np.asarray(rim.normals)
    through = (wind(at) * normal).sum(0)
    enters = (np.maximum(-through, 0) * g(at) * rim.dx).sum()
    leaves = (np.maximum(through, 0) * np.asarray(rim.interpolate(u)) * rim.dx).sum()
    scale = (np.abs(through * g(at)) * rim.dx).sum()
    assert abs(enters - leaves) < 1e-5 * scale
    assert abs((through * rim.dx).sum()) < 1e-9


@pytest.mark.parametrize("swirl", [0.0, 0.5])
def test_the_wind_has_no_divergence(swirl):
    points, step, magnitude = np.random.default_rng(0).random((2, 300)), 1e-5, []
    shift = step * np.eye(2)[:, :, None]
    for seed in range(20):
        wind = random_wind(np.random.default_rng(seed), swirl)
        slope = [(wind(points + d) - wind(points - d)) / (2 * step) for d in shift]
        assert np.abs(slope[0][0] + slope[1][1]).max() < 1e-7
        mean = np.array([[np.cos(wind.angle)], [np.sin(wind.angle)]])
        magnitude.append(np.mean((wind(points) - mean) ** 2) * 2)
    assert abs(np.sqrt(np.mean(magnitude)) - swirl) < 0.1 * swirl + 1e-12


def test_without_swirl_and_diffusion_the_data_travel_along_the_wind():
    wind = random_wind(np.random.default_rng(5), 0.0)
    across = np.array([-np.sin(wind.angle), np.cos(wind.angle)])

    def g(p):
        return np.cos(4 * np.tensordot(across, p, 1))

    mesh = random_mesh(3, 400).refined(1)
    u, _ = solve_advection_diffusion(mesh, wind, 1e-4, g)
    assert np.linalg.norm(u - g(mesh.p)) < 0.01 * np.linalg.norm(g(mesh.p))


def test_inflow_vertices_face_the_wind():
    mesh = skfem.MeshTri.init_tensor(np.linspace(0, 1, 5), np.linspace(0, 1, 5))
    mark = inflow_vertices(mesh, lambda p: np.stack([1 + 0 * p[0], 0 * p[0] - 2]))
    np.testing.assert_array_equal(mark, (mesh.p[0] == 0) | (mesh.p[1] == 1))


def test_samples_are_valid_and_depend_on_their_seed_alone():
    diffusivities = []
    for index in range(8):
        sample = sample_advection_diffusion((0, 0, index), points=150)
        again = sample_advection_diffusion([0, 0, index], points=150)
        np.testing.assert_array_equal(sample.u, again.u)
        np.testing.assert_array_equal(sample.triangles, again.triangles)
        assert 130 < len(sample.points) < 175
        assert smallest_angle(sample.points, sample.triangles) > 10
        assert sample.boundary[sample.inflow].all()
        assert 0.2 < sample.inflow.sum() / sample.boundary.sum() < 0.8
        assert (sample.g[~sample.inflow] == 0).all()
        assert np.abs(sample.u).max() < 1.2 * np.abs(sample.g).max()  # the maximum principle, nearly
        diffusivities.append(sample.diffusivity)
    assert min(diffusivities) >= 1e-4
    assert max(diffusivities) <= 1e-1
    assert np.ptp(np.log10(diffusivities)) > 1


def test_refining_the_solve_converges():
    thick, thin = ([sample_advection_diffusion((0, 0, seed), 150, refine=r) for r in range(4)] for seed in (0, 1))
    for samples in (thick, thin):
        errors = [np.linalg.norm(s.u - samples[-1].u) / np.linalg.norm(samples[-1].u) for s in samples[:-1]]
        assert errors[0] > errors[1] > errors[2]
        assert errors[1] < 0.1


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="points=50"):
        sample_advection_diffusion(0, points=50)
    with pytest.raises(ValueError, match="swirl=-1"):
        sample_advection_diffusion(0, swirl=-1)
    mesh = skfem.MeshTri()
    with pytest.raises(ValueError, match="diffusivity=0"):
        solve_advection_diffusion(mesh, lambda p: p, 0.0, lambda p: p[0])
