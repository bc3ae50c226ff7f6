import importlib.util
import sys

import numpy as np
import pytest

from pyg_neuralops.solvers.poisson import sample_poisson, solve_poisson, stiffness_and_load
from pyg_neuralops.solvers.tetrahedra import deform, deformed_lattice, kuhn_tetrahedra, random_bulge, volumes


def random_mesh(seed, per_side, jitter=0.2):
    rng = np.random.default_rng(seed)
    bulge, _ = random_bulge(rng)
    return deformed_lattice(rng, per_side, jitter, bulge)


def test_order_two_on_a_manufactured_solution():
    wave, errors = np.array([3.0, 2.0, 4.0]), []

    def exact(p):
        return np.sin(p @ wave) + p[:, 0] * p[:, 1]

    sizes = np.array([9, 13, 19])
    for per_side in sizes:
        mesh = random_mesh(1, per_side)
        u, residual = solve_poisson(mesh, wave @ wave * np.sin(mesh.points @ wave), exact(mesh.points))
        errors.append(np.linalg.norm(u - exact(mesh.points)) / np.linalg.norm(exact(mesh.points)))
        assert residual < 1e-9
    orders = np.diff(np.log(errors)) / np.diff(-np.log(sizes - 1))
    assert orders.min() > 1.6, (errors, orders)
    assert errors[-1] < 0.02


def test_linear_solutions_are_exact_and_the_matrix_is_symmetric():
    mesh = random_mesh(2, 6)
    exact = 1 + mesh.points @ [1.0, -2.0, 3.0]
    u, _ = solve_poisson(mesh, np.zeros(len(exact)), exact)
    np.testing.assert_allclose(u, exact, atol=1e-7)
    matrix, load = stiffness_and_load(mesh, np.ones(len(exact)), block=100)
    whole, _ = stiffness_and_load(mesh, np.ones(len(exact)))
    assert abs(matrix - matrix.T).max() < 1e-12
    assert abs(matrix - whole).max() < 1e-12
    np.testing.assert_allclose(matrix @ exact @ exact, 14.0)  # |grad u|² over a volume of 1
    np.testing.assert_allclose(load.sum(), 1.0)


def test_the_source_leaves_through_the_boundary():
    mesh = random_mesh(3, 9)
    f = np.exp(mesh.points[:, 0])
    matrix, load = stiffness_and_load(mesh, f)
    u, _ = solve_poisson(mesh, f, np.sin(3 * mesh.points[:, 1]), tolerance=1e-12)
    reaction = (load - matrix @ u)[mesh.boundary]  # minus the flux of grad u through the boundary, by node
    np.testing.assert_allclose(reaction.sum(), load.sum(), rtol=1e-9)
    assert abs(load.sum() - np.e + 1) < 0.2  # the cube itself has e - 1


@pytest.mark.parametrize("per_side", [3, 8, 15])
def test_tetrahedra_are_positive_conforming_and_fill_the_cube(per_side):
    for seed in range(3):
        mesh = random_mesh(seed, per_side)
        volume = volumes(mesh.points, mesh.tetrahedra, block=100)
        assert volume.min() > 0
        np.testing.assert_allclose(volume.sum(), 1, rtol=1e-12)
        assert len(mesh.points) == per_side**3
        assert len(mesh.tetrahedra) == 6 * (per_side - 1) ** 3
    corners = np.sort(mesh.tetrahedra, axis=1)
    sides = np.concatenate([np.delete(corners, i, axis=1) for i in range(4)])
    unique, count = np.unique(sides, axis=0, return_counts=True)
    assert count.max() == 2
    np.testing.assert_array_equal(np.unique(unique[count == 1]), np.flatnonzero(mesh.boundary))
    assert (count == 1).sum() == 12 * (per_side - 1) ** 2


def test_without_jitter_all_volumes_are_equal():
    mesh = deformed_lattice(np.random.default_rng(0), 5, jitter=0.0)
    np.testing.assert_allclose(volumes(mesh.points, kuhn_tetrahedra(5)), 1 / 384)
    np.testing.assert_array_equal(mesh.points[25], [0.25, 0, 0])


def test_strong_jitter_is_damped_until_all_volumes_are_positive():
    mesh = deformed_lattice(np.random.default_rng(0), 9, jitter=0.45)
    volume = volumes(mesh.points, mesh.tetrahedra)
    assert 0 < mesh.damped < len(mesh.points) / 2
    assert volume.min() >= 0.05 * volume.mean() * (1 - 1e-12)


def test_the_deformation_is_folded_nowhere():
    rng = np.random.default_rng(0)
    points, step = rng.random((500, 3)), 1e-6
    for _ in range(20):
        bulge, _ = random_bulge(rng, 0.05)
        slope = [(deform(points + step * e, bulge) - deform(points - step * e, bulge)) / (2 * step) for e in np.eye(3)]
        assert np.linalg.det(np.stack(slope, axis=1)).min() > 0.29
    with pytest.raises(RuntimeError, match="all fold the cube"):
        random_bulge(rng, 5.0)


@pytest.mark.skipif(importlib.util.find_spec("pyamg") is None, reason="pyamg is not installed")
def test_multigrid_and_the_diagonal_agree():
    mesh = random_mesh(4, 12)
    f, g = np.cos(mesh.points @ [1.0, 2.0, 3.0]), mesh.points[:, 2] ** 2
    one, _ = solve_poisson(mesh, f, g, solver="cg")
    two, _ = solve_poisson(mesh, f, g, solver="amg")
    np.testing.assert_allclose(one, two, atol=1e-7)


def test_samples_depend_on_their_seed_alone_and_both_modes_agree():
    waves = set()
    for index in range(4):
        exact = sample_poisson((0, 0, index), per_side=13)
        again = sample_poisson([0, 0, index], per_side=13)
        fem = sample_poisson((0, 0, index), per_side=13, mode="fem")
        np.testing.assert_array_equal(exact.points, again.points)
        np.testing.assert_array_equal(exact.u, again.u)
        np.testing.assert_array_equal(exact.f, fem.f)
        assert 0 < np.linalg.norm(fem.u - exact.u) < 0.06 * np.linalg.norm(exact.u)
        np.testing.assert_array_equal(exact.u[exact.boundary], exact.g[exact.boundary])
        assert (exact.g[~exact.boundary] == 0).all()
        wave = exact.u - exact.points[:, 0] * exact.points[:, 1]
        squared = (exact.f @ wave) / (wave @ wave)  # |k|²
        np.testing.assert_allclose(exact.f, squared * wave, atol=1e-12 * squared)
        assert 4 <= squared <= 36
        waves.add(squared)
    assert len(waves) == 4


def test_wrong_arguments_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="mode='exakt'; choose from"):
        sample_poisson(0, mode="exakt")
    with pytest.raises(ValueError, match="per_side=2"):
        sample_poisson(0, per_side=2)
    mesh = random_mesh(0, 4)
    with pytest.raises(ValueError, match="solver='lu'; choose from"):
        solve_poisson(mesh, mesh.points[:, 0], mesh.points[:, 0], solver="lu")
    monkeypatch.setitem(sys.modules, "pyamg", None)
    with pytest.raises(ImportError, match="pip install pyamg"):
        solve_poisson(mesh, mesh.points[:, 0], mesh.points[:, 0], solver="amg")
