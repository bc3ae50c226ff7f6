import numpy as np
import pytest
import skfem
from scipy.ndimage import map_coordinates

from pyg_neuralops.solvers import (
    coefficient_at,
    random_outline,
    resample,
    sample_darcy,
    sample_darcy_irregular,
    smallest_angle,
    solve_darcy,
    solve_diffusion,
    triangulate,
)


def random_mesh(seed, spacing, kind):
    rng = np.random.default_rng(seed)
    loops, corners = random_outline(rng, kind)
    loops = [resample(loop, spacing, keep) for loop, keep in zip(loops, corners, strict=True)]
    grid = triangulate(loops, spacing, rng)
    return skfem.MeshTri(grid.points.T.copy(), grid.triangles.T.copy())


@pytest.mark.parametrize(("degree", "order"), [(1, 1.9), (2, 2.7)])
@pytest.mark.parametrize("kind", ["hole", "notch"])
def test_order_on_a_manufactured_solution(degree, order, kind):
    def exact(p):
        return np.sin(np.pi * p[0]) * np.cos(np.pi * p[1])

    def coefficient(p):
        return 2 + p[0] * p[1]

    def source(p):
        x, y = np.pi * p[0], np.pi * p[1]
        slope = p[1] * np.cos(x) * np.cos(y) - p[0] * np.sin(x) * np.sin(y)
        return 2 * np.pi**2 * coefficient(p) * exact(p) - np.pi * slope

    mesh = random_mesh(1, 0.15, kind)
    errors = []
    for level in (1, 2, 3):
        fine = mesh.refined(level)
        u, _ = solve_diffusion(fine, coefficient, source, exact, degree)
        errors.append(np.sqrt(np.mean((u - exact(fine.p)) ** 2)))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders.min() > order, (errors, orders)


def test_quadratics_are_exact():
    def exact(p):
        return 1 + p[0] - 2 * p[1] + p[0] ** 2 + 3 * p[0] * p[1]

    mesh = random_mesh(2, 0.15, "hole")
    u, residual = solve_diffusion(mesh, np.full(mesh.nelements, 3.0), -6.0, exact)
    np.testing.assert_allclose(u, exact(mesh.p), atol=1e-12)
    assert residual < 1e-12


def test_finite_elements_and_finite_differences_agree_on_two_layers():
    size, interface = 97, 47.5 / 96  # between two nodes of the one, on an edge of the other
    x = np.linspace(0, 1, size)
    differences = solve_darcy(np.where(x[:, None] + 0 * x > interface, 12.0, 3.0), face_mean="harmonic").u
    across = np.concatenate([np.linspace(0, interface, 25), np.linspace(interface, 1, 25)[1:]])
    mesh = skfem.MeshTri.init_tensor(across, x[::4])
    u, _ = solve_diffusion(mesh, np.where(mesh.p[0, mesh.t].mean(axis=0) > interface, 12.0, 3.0))
    expected = map_coordinates(differences, mesh.p * (size - 1), order=1)
    assert np.linalg.norm(u - expected) < 2e-3 * np.linalg.norm(u)


def test_the_coefficient_is_the_sign_of_the_interpolated_field():
    x = (np.arange(8) + 0.5) / 8
    field = x[:, None] - 0.4 + 0 * x
    points = np.random.default_rng(0).uniform(0.1, 0.9, (200, 2))
    np.testing.assert_array_equal(coefficient_at(field, points), np.where(points[:, 0] >= 0.4, 12.0, 3.0))


def test_samples_are_valid_and_depend_on_their_seed_alone():
    shapes = set()
    for index in range(6):
        sample = sample_darcy_irregular((0, 0, index), points=200)
        again = sample_darcy_irregular([0, 0, index], points=200)
        np.testing.assert_array_equal(sample.u, again.u)
        np.testing.assert_array_equal(sample.triangles, again.triangles)
        assert 150 < len(sample.points) < 250
        assert set(np.unique(sample.a)) <= {3.0, 12.0}
        assert sample.u.min() >= 0
        assert sample.u.max() < 0.0737 / 3  # the solution on the whole square with a = 3 lies above
        assert smallest_angle(sample.points, sample.triangles) > 10
        shapes.add(len(sample.points))
    assert len(shapes) > 1


def test_graded_meshes_are_valid_and_as_large():
    for index, grading in enumerate((3, 4.5, 6)):
        sample = sample_darcy_irregular((0, 0, index), points=400, grading=grading)
        edges = np.sort(np.concatenate([sample.triangles[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
        length = np.linalg.norm(np.diff(sample.points[np.unique(edges, axis=0)], axis=1)[:, 0], axis=1)
        fine, wide = np.quantile(length, [0.01, 0.99])
        assert 0.6 * grading < wide / fine < 1.4 * grading
        assert 280 < len(sample.points) < 520
        assert smallest_angle(sample.points, sample.triangles) > 10
        assert 0 <= sample.u.min() < sample.u.max() < 0.0737 / 3
    plain, same = (sample_darcy_irregular(5, points=200, **kwargs) for kwargs in ({}, {"grading": 0}))
    np.testing.assert_array_equal(plain.points, same.points)
    np.testing.assert_array_equal(plain.u, same.u)


def test_refining_the_solve_converges():
    solutions = [sample_darcy_irregular((0, 0, 1), points=300, refine=level).u for level in range(4)]
    errors = [np.linalg.norm(u - solutions[-1]) / np.linalg.norm(solutions[-1]) for u in solutions[:-1]]
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 0.03


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="'star'; choose from"):
        random_outline(np.random.default_rng(0), "star")
    with pytest.raises(ValueError, match=r"degree=3; choose from \[1, 2\]"):
        solve_diffusion(skfem.MeshTri(), np.ones(2), degree=3)
    with pytest.raises(ValueError, match="points=50"):
        sample_darcy_irregular(0, points=50)
    with pytest.raises(ValueError, match=r"grading=0.5; it must be 0, or"):
        sample_darcy_irregular(0, grading=0.5)
    with pytest.raises(ValueError, match="refine=0"):
        sample_darcy(0, refine=0)
