import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import spsolve

from pyg_neuralops.solvers import FACE_MEANS, gaussian_random_field, sample_darcy, solve_darcy


def two_phases(size, seed=0):
    return np.where(gaussian_random_field(np.random.default_rng(seed), size) >= 0, 12.0, 3.0)


@pytest.mark.parametrize("mean", FACE_MEANS)
def test_second_order_on_a_manufactured_solution(mean):
    errors = []
    for size in (17, 33, 65):
        x, y = np.meshgrid(*2 * [np.linspace(0, np.pi, size)], indexing="ij")
        a, u = 2 + np.sin(x) * np.sin(2 * y), np.sin(x) * np.sin(y)
        slope = np.cos(x) * np.sin(2 * y) * np.cos(x) * np.sin(y)
        slope += 2 * np.sin(x) * np.cos(2 * y) * np.sin(x) * np.cos(y)
        f = np.pi**2 * (2 * a * u - slope)
        errors.append(np.linalg.norm(solve_darcy(a, f, face_mean=mean).u - u) / np.linalg.norm(u))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders.min() > 1.95, (errors, orders)


@pytest.mark.parametrize("mean", FACE_MEANS)
def test_conjugate_gradients_equal_sparse_lu(mean):
    size = 41
    a = two_phases(size)
    # Graph Laplacian of all nodes: edges carry the face means, then the boundary is struck out.
    index = np.arange(size * size).reshape(size, size)
    start = np.concatenate([index[:-1].ravel(), index[:, :-1].ravel()])
    end = np.concatenate([index[1:].ravel(), index[:, 1:].ravel()])
    face = FACE_MEANS[mean](a.ravel()[start], a.ravel()[end])
    edges = np.arange(len(start))
    difference = sparse.csr_matrix(
        (np.repeat([1.0, -1.0], len(start)), (np.tile(edges, 2), np.concatenate([start, end])))
    )
    inner = index[1:-1, 1:-1].ravel()
    matrix = (difference.T @ sparse.diags(face * (size - 1.0) ** 2) @ difference)[inner][:, inner]
    expected = spsolve(matrix.tocsc(), np.ones(len(inner)))
    solution = solve_darcy(a, face_mean=mean, tolerance=1e-13)
    np.testing.assert_allclose(solution.u[1:-1, 1:-1].ravel(), expected, rtol=1e-11)


def test_symmetries_and_scaling():
    a = two_phases(33, seed=1)
    u = solve_darcy(a).u
    for turned, back in ((a.T, np.transpose), (a[::-1], np.flipud), (a[:, ::-1], np.fliplr)):
        np.testing.assert_allclose(back(solve_darcy(turned).u), u, atol=1e-10)
    np.testing.assert_allclose(solve_darcy(5 * a, 5.0).u, u, atol=1e-10)
    assert (u[1:-1, 1:-1] > 0).all()
    assert not u[[0, -1]].any()
    assert not u[:, [0, -1]].any()


def test_the_centre_of_the_square_under_a_uniform_load():
    # Poisson's series on the unit square gives 0.0736713 at the centre.
    assert 3 * solve_darcy(np.full((65, 65), 3.0)).u[32, 32] == pytest.approx(0.0736713, rel=5e-4)


def test_refining_the_solve_converges_on_a_sample():
    a = two_phases(169, seed=2)
    reference = solve_darcy(a).u[::8, ::8]
    errors = [
        np.linalg.norm(solve_darcy(a[::step, ::step]).u[:: 8 // step, :: 8 // step] - reference) for step in (8, 4, 2)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01 * np.linalg.norm(reference)


def test_a_sample_depends_on_its_seed_alone():
    one, same, other = (sample_darcy(seed, resolution=17, refine=2) for seed in ((3, 0, 5), [3, 0, 5], (3, 1, 5)))
    np.testing.assert_array_equal(one.u, same.u)
    assert not np.array_equal(one.a, other.a)
    assert one.a.shape == one.u.shape == (17, 17)
    assert set(np.unique(one.a)) <= {3.0, 12.0}
    assert one.residual <= 1e-8


def test_a_sample_that_does_not_converge_names_its_seed():
    with pytest.raises(RuntimeError, match=r"seed \(7, 0, 3\).*residual.*2 iterations"):
        sample_darcy((7, 0, 3), resolution=33, refine=1, max_iterations=2)


@pytest.mark.parametrize(
    ("a", "mean", "message"),
    [
        (np.ones((5, 6)), "harmonic", r"shape \(5, 6\)"),
        (np.zeros((5, 5)), "harmonic", "minimum 0.0"),
        (np.full((5, 5), np.nan), "harmonic", "minimum nan"),
        (np.ones((5, 5)), "median", "'median'; choose from"),
    ],
)
def test_wrong_arguments_are_refused(a, mean, message):
    with pytest.raises(ValueError, match=message):
        solve_darcy(a, face_mean=mean)
    with pytest.raises(ValueError, match="resolution=2"):
        sample_darcy(0, resolution=2)
