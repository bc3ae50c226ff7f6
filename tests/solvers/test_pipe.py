import numpy as np
import pytest
from scipy.sparse.linalg import splu

from pyg_neuralops.solvers.navier_stokes_steady import solve_channel
from pyg_neuralops.solvers.pipe import parabolic_inflow, pipe_points, sample_pipe
from pyg_neuralops.solvers.taylor_hood import TaylorHood

NU = 0.1


def bent_square(n):
    """n x n elements with curved sides everywhere but at the outlet x = 1."""
    s, t = np.meshgrid(np.linspace(0, 1, 2 * n + 1), np.linspace(0, 1, 2 * n + 1), indexing="ij")
    return np.stack([s + 0.05 * np.sin(np.pi * s) * np.sin(np.pi * t), t + 0.2 * np.sin(2 * s)], axis=-1)


def exact(x, y):
    """Velocity from the stream function f(x) sin(2 y); f' = f'' = 0 and p = 0 at x = 1, so the outlet is free."""
    f, f1 = 1 + (1 - x) ** 3, -3 * (1 - x) ** 2
    return np.stack([2 * f * np.cos(2 * y), -f1 * np.sin(2 * y)]), (1 - x) * np.cos(y)


def exact_force(where):
    x, y = where
    f, f1, f2, f3 = 1 + (1 - x) ** 3, -3 * (1 - x) ** 2, 6 * (1 - x), -6
    g, g1, g2, g3 = np.sin(2 * y), 2 * np.cos(2 * y), -4 * np.sin(2 * y), -8 * np.cos(2 * y)
    (u, v), _ = exact(x, y)
    along = u * f1 * g1 + v * f * g2 - NU * (f2 * g1 + f * g3) - np.cos(y)
    across = -u * f2 * g - v * f1 * g1 + NU * (f3 * g + f1 * g2) - (1 - x) * np.sin(y)
    return np.stack([along, across])


def straight(lines, across):
    return pipe_points(np.zeros(5), np.zeros(5), lines, across)


def test_orders_on_a_manufactured_solution():
    errors = []
    for n in (4, 8, 16):
        points = bent_square(n)
        velocity, pressure = exact(*np.moveaxis(points, -1, 0))
        flow = solve_channel(points, np.moveaxis(velocity, 0, -1), NU, exact_force)
        form = TaylorHood(points)
        nodal = flow.velocity.reshape(-1, 2).T[:, form.topology.nodes]  # [2, E, 9]
        divergence = np.einsum("dEn,dEnq->Eq", nodal, form.gradient)
        errors.append(
            [
                np.sqrt(np.mean((flow.velocity - np.moveaxis(velocity, 0, -1)) ** 2)),
                np.sqrt(np.mean((flow.pressure - pressure[::2, ::2]) ** 2)),
                np.sqrt((divergence**2 * form.weight).sum()),
            ]
        )
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > [2.8, 1.8, 1.8]).all(), (errors, orders)


def test_poiseuille_flow_is_exact():
    x, t = np.linspace(0, 10, 17), np.linspace(0, 1, 21)
    flow = solve_channel(straight(17, 21), parabolic_inflow(17, 21), 0.02)
    np.testing.assert_allclose(flow.velocity[..., 0], np.tile(4 * t * (1 - t), (17, 1)), atol=1e-12)
    np.testing.assert_allclose(flow.velocity[..., 1], 0, atol=1e-12)
    np.testing.assert_allclose(flow.pressure, np.tile(8 * 0.02 * (10 - x[::2, None]), 11), atol=1e-12)


def test_the_matrix_is_the_derivative_of_the_residual():
    form = TaylorHood(bent_square(2))
    rng = np.random.default_rng(0)
    state, change = rng.normal(size=(2, form.topology.size))
    fixed = np.setdiff1d(np.arange(form.topology.size), form.topology.order)
    change[fixed] = 0
    matrix, _ = form.system(state, 0.3)
    ahead, behind = (form.system(state + sign * change, 0.3)[1] for sign in (1, -1))
    # The residual is quadratic, so that central differences have no error.
    np.testing.assert_allclose(matrix @ change[form.topology.order], (ahead - behind) / 2, atol=1e-12)


def test_newton_converges_quadratically():
    points = sample_pipe((0, 0, 1), resolution=33, refine=1, viscosity=0.012).points
    flow = solve_channel(points, parabolic_inflow(33, 33), 0.012, tolerance=1e-13)
    assert flow.viscosities == 1
    before, near, nearer = np.log(flow.history[-4:-1])  # the very last one is rounding
    assert nearer < np.log(1e-5)
    assert (nearer - near) / (near - before) > 1.7, flow.history


def test_mass_is_conserved():
    sample = sample_pipe((0, 0, 4), resolution=33, refine=1, viscosity=0.02)
    step = 1 / 32
    flux = step / 3 * (sample.u[:, :-2:2] + 4 * sample.u[:, 1:-1:2] + sample.u[:, 2::2]).sum(axis=1)
    assert flux[0] == pytest.approx(2 / 3, abs=1e-14)
    assert flux[-1] == pytest.approx(2 / 3, abs=1e-10)
    # A pressure that is a hat function of x makes the mean flux of all columns of elements equal.
    np.testing.assert_allclose((flux[:-2:2] + 4 * flux[1:-1:2] + flux[2::2]) / 6, 2 / 3, atol=1e-10)


def test_boundary_values_and_positions():
    sample = sample_pipe((0, 0, 5), resolution=17, refine=3, viscosity=0.05)
    t = np.linspace(0, 1, 17)
    np.testing.assert_array_equal(sample.u[0], 4 * t * (1 - t))
    for wall in (0, -1):
        assert not sample.u[:, wall].any()
        assert not sample.v[:, wall].any()
    np.testing.assert_allclose(sample.points[..., 0], np.tile(10 * t[:, None], 17))
    np.testing.assert_allclose(sample.points[::4, 8, 1], sample.heights)
    np.testing.assert_allclose(np.diff(sample.points[..., 1], axis=1), 1 / 16)
    centre = pipe_points(sample.heights, sample.slopes, 4001, 3)[:, 1, 1]
    np.testing.assert_allclose(np.gradient(centre, 10 / 4000)[::1000], sample.slopes, atol=0.02)
    assert np.abs(sample.heights).max() <= 2
    assert np.abs(sample.slopes).max() <= 1


def test_refining_the_mesh_along_the_pipe_converges():
    fields = {}
    for refine in (1, 2, 4, 8):
        sample = sample_pipe((0, 0, 2), resolution=17, refine=refine, viscosity=0.03)
        fields[refine] = np.stack([sample.u, sample.v])
    errors = [np.linalg.norm(fields[n] - fields[8]) / np.linalg.norm(fields[8]) for n in (1, 2, 4)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2], errors
    assert errors[2] < 0.01


def test_an_upside_down_pipe_has_the_mirrored_flow():
    heights, slopes = np.array([0, 1, -1, 0.5, 0]), np.array([0, 0.5, 0, -1, 0])
    pipes = [pipe_points(sign * heights, sign * slopes, 17, 13) for sign in (1, -1)]
    up, down = (solve_channel(points, parabolic_inflow(17, 13), 0.03) for points in pipes)
    np.testing.assert_allclose(down.velocity[:, ::-1] * [1, -1], up.velocity, atol=1e-8)
    np.testing.assert_allclose(down.pressure[:, ::-1], up.pressure, atol=1e-8)


def test_flows_of_one_reynolds_number_are_similar():
    points = sample_pipe((0, 0, 3), resolution=17, refine=1, viscosity=0.05).points
    inflow = parabolic_inflow(17, 17)
    slow, fast = (solve_channel(points, c * inflow, c * 0.05) for c in (1, 4))
    np.testing.assert_allclose(fast.velocity, 4 * slow.velocity, atol=1e-8)
    np.testing.assert_allclose(fast.pressure, 16 * slow.pressure, atol=1e-8)
    other = solve_channel(points, 4 * inflow, 0.05)
    assert np.linalg.norm(other.velocity - fast.velocity) > 0.01 * np.linalg.norm(fast.velocity)


def test_dissection_fills_in_less_than_the_default_ordering():
    form = TaylorHood(straight(65, 33))
    matrix, _ = form.system(np.zeros(form.topology.size), 1.0, 0.0)
    ours = splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.01, options={"SymmetricMode": True})
    assert ours.nnz < 0.8 * splu(matrix).nnz


def test_samples_depend_on_their_seed_alone():
    one, again, other = (sample_pipe(seed, 17, 1, 0.05) for seed in ((0, 0, 7), [0, 0, 7], (0, 1, 7)))
    np.testing.assert_array_equal(one.u, again.u)
    np.testing.assert_array_equal(one.points, again.points)
    assert not np.allclose(one.points, other.points)
    assert one.residual <= 1e-9


def test_continuation_solves_what_newton_alone_does_not():
    sample = sample_pipe((0, 0, 35), resolution=33, refine=1, viscosity=0.01)
    assert sample.viscosities > 2
    assert sample.residual <= 1e-9


def test_no_convergence_names_the_seed():
    with pytest.raises(RuntimeError, match=r"seed \(0, 0, 1\): no convergence .* at viscosity 0.02"):
        sample_pipe((0, 0, 1), resolution=17, refine=1, viscosity=0.02, max_iterations=3)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="resolution=64, refine=2; odd and at least 17"):
        sample_pipe(0, resolution=64)
    with pytest.raises(ValueError, match=r"resolution=33, refine=1, viscosity=0.005.*at least 0.3"):
        sample_pipe(0, resolution=33, refine=1)
    with pytest.raises(ValueError, match=r"shape \(4, 5, 2\)"):
        TaylorHood(np.zeros((4, 5, 2)))
    with pytest.raises(ValueError, match="Jacobian"):
        TaylorHood(straight(9, 9)[:, ::-1])
    with pytest.raises(ValueError, match="viscosity=0"):
        solve_channel(straight(9, 9), parabolic_inflow(9, 9), 0)
