import sys

import numpy as np
import pytest

pytest.importorskip("numba")

from pyg_neuralops.solvers.airfoil import airfoil_grid, deformed, naca_0012, sample_airfoil
from pyg_neuralops.solvers.c_grid import cells_to_nodes, graded
from pyg_neuralops.solvers.euler import face_normals, solve_euler
from pyg_neuralops.solvers.gas import mach_number

PLAIN = np.zeros(8)
SPEED = 0.8 * np.sqrt(1.4)


def solved(refine, iterations, **options):
    grid, wake = airfoil_grid(PLAIN, 45, refine)
    return solve_euler(grid, wake, iterations=iterations, **options)


def test_control_nodes_move_the_box_as_cubics_in_x_and_lines_in_y():
    points = np.random.default_rng(0).uniform([0, -0.1], [1, 0.1], (50, 2))
    x, y = points.T
    nodes = np.array([-0.25, 0.25, 0.75, 1.25])

    def below(x):
        return 0.03 - 0.1 * x + 0.2 * x**2 - 0.1 * x**3

    def above(x):
        return 0.01 + 0.05 * x - 0.08 * x**3

    moved = deformed(points, np.concatenate([below(nodes), above(nodes[::-1])]))
    share = (y + 0.1) / 0.2
    np.testing.assert_allclose(moved[:, 0], x)
    np.testing.assert_allclose(moved[:, 1], y + (1 - share) * below(x) + share * above(x), atol=1e-14)


def test_the_airfoil_is_closed_and_twelve_percent_thick():
    x = np.linspace(0, 1, 2001)
    y = naca_0012(x)
    assert y[0] == y[-1] == 0
    assert 2 * y.max() == pytest.approx(0.12, abs=1e-4)
    assert x[y.argmax()] == pytest.approx(0.3, abs=1e-3)


def test_the_grid_is_a_c_with_a_closed_cut():
    displacements = np.random.default_rng(1).uniform(-0.05, 0.05, 8)
    grid, wake = airfoil_grid(displacements, 221)
    assert grid.shape == (221, 51, 2)
    assert wake == 50
    np.testing.assert_array_equal(grid[:51, 0], grid[:-52:-1, 0])
    np.testing.assert_allclose(
        grid[[0, 110, 110, 220], [50, 50, 0, 50]], [[40, 40], [-39, 0], [0, grid[110, 0, 1]], [40, -40]], atol=1e-12
    )
    np.testing.assert_allclose(grid[[0, 50, 170], 0], [[40, 0], grid[50, 0], grid[50, 0]], atol=1e-12)
    assert np.linalg.norm(grid[110, 1] - grid[110, 0]) == pytest.approx(1 / 60, rel=0.05)
    area = face_normals(grid)[2]
    assert area.sum() == pytest.approx(0.5 * np.pi * 40**2 + 39 * 80, rel=1e-3)
    np.testing.assert_allclose(
        airfoil_grid(displacements, 45, 3)[0][::3, ::3], airfoil_grid(displacements, 45)[0], atol=1e-12
    )


def test_graded_steps():
    steps = np.diff(graded(50, 1 / 2400, 1.02))
    np.testing.assert_allclose(steps[1:37] / steps[:36], 1.02)
    np.testing.assert_allclose(steps[38:] / steps[37:-1], steps[-1] / steps[-2])
    assert steps[0] == pytest.approx(1 / 2400)
    np.testing.assert_allclose(np.diff(graded(10, 0.1, 1.02)), 0.1)


def test_values_at_nodes_converge():
    def field(p):
        return np.exp(0.3 * p[..., 0]) * np.cos(p[..., 1] + 0.5)

    errors = []
    for refine in (1, 2, 4):
        grid, wake = airfoil_grid(np.full(8, 0.01), 45, refine)
        centres = 0.25 * (grid[1:, 1:] + grid[1:, :-1] + grid[:-1, 1:] + grid[:-1, :-1])
        nodes = cells_to_nodes(field(centres)[..., None], grid, wake)[..., 0]
        np.testing.assert_array_equal(nodes[: wake + 1, 0], nodes[: -wake - 2 : -1, 0])
        near = np.linalg.norm(grid - [0.5, 0], axis=-1) < 1
        errors.append(np.sqrt(np.mean((nodes - field(grid))[near] ** 2)))
    assert np.log2(np.array(errors[:-1]) / errors[1:]).min() > 1.5, errors
    np.testing.assert_allclose(cells_to_nodes(np.full((*centres.shape[:2], 1), 3.0), grid, wake), 3.0)


def test_the_free_stream_passes_a_flat_plate_unchanged():
    grid, wake = airfoil_grid(PLAIN, 45, thickness=0.0)
    solution = solve_euler(grid, wake, iterations=20, limit=2.0)
    np.testing.assert_allclose(solution.cells, np.broadcast_to([1, SPEED, 0, 1], solution.cells.shape), atol=1e-12)
    assert abs(solution.lift) < 1e-12


def test_a_symmetric_airfoil_has_a_symmetric_flow_without_lift():
    solution = solved(1, 1000)
    assert abs(solution.lift) < 1e-4
    assert 0 < solution.drag < 0.1
    np.testing.assert_allclose(solution.cells[::-1] * [1, 1, -1, 1], solution.cells, atol=1e-3)
    assert solved(1, 1000, angle=1.25).lift == pytest.approx(-solved(1, 1000, angle=-1.25).lift, abs=1e-4)


def test_drag_without_shocks_enthalpy_and_entropy_errors_vanish_with_the_cells():
    drags, errors = [], []
    for refine, iterations in ((1, 300), (2, 600), (4, 1000)):
        solution = solved(refine, iterations, mach=0.3)
        density, u, v, pressure = np.moveaxis(solution.cells, -1, 0)
        grid = airfoil_grid(PLAIN, 45, refine)[0]
        area = face_normals(grid)[2]
        weight = np.where(np.linalg.norm(grid[1:, 1:] - [0.5, 0], axis=-1) < 2, area, 0)
        enthalpy = (3.5 * pressure / density + 0.5 * (u**2 + v**2)) / (3.5 + 0.7 * 0.3**2) - 1
        entropy = pressure / density**1.4 - 1
        errors.append([np.sqrt(np.average(error**2, weights=weight)) for error in (enthalpy, entropy)])
        drags.append(solution.drag)
    assert drags[0] > 2 * drags[1] > 4 * drags[2] > 0, drags
    errors = np.array(errors)
    assert (errors[1:] < 0.75 * errors[:-1]).all(), errors
    assert errors[-1].max() < 1e-3


def test_a_shock_makes_entropy_and_the_flow_turns_supersonic_before_it():
    cells = solved(2, 1000).cells
    assert 1.1 < mach_number(cells).max() < 1.35
    assert (cells[..., 3] / cells[..., 0] ** 1.4).min() > 0.995


def test_samples_converge_with_refinement():
    fields = [sample_airfoil(1, 45, *case).mach for case in ((1, 300), (2, 700), (4, 1200))]
    errors = [np.linalg.norm(field - fields[-1]) / np.linalg.norm(fields[-1]) for field in fields[:-1]]
    assert errors[1] < 0.6 * errors[0], errors
    assert errors[1] < 0.05


def test_samples_depend_on_their_seed_alone():
    one, again, other = (sample_airfoil(seed, 45, iterations=100) for seed in ((0, 0, 3), [0, 0, 3], (0, 0, 4)))
    np.testing.assert_array_equal(one.mach, again.mach)
    np.testing.assert_array_equal(one.points, again.points)
    assert abs(one.mach - other.mach).max() > 0.05
    assert one.displacements[0] == 0
    assert abs(one.displacements).max() <= 0.05
    assert one.flow.shape == (45, 11, 4)
    np.testing.assert_allclose(one.mach, mach_number(one.flow))
    np.testing.assert_allclose(one.mach[:, -1], 0.8, atol=0.05)
    assert 0 < one.residual < 0.1


def test_what_does_not_converge_is_refused():
    with pytest.raises(RuntimeError, match=r"seed \[0, 5\].*residual is .* after 10 steps; 1.0e-09 is allowed"):
        sample_airfoil([0, 5], 45, iterations=10, limit=1e-9)
    grid, wake = airfoil_grid(PLAIN, 45)
    with pytest.raises(RuntimeError, match="not positive"):
        solve_euler(grid, wake, mach=10.0, angle=90.0, iterations=300)


def test_wrong_arguments_are_refused():
    for size in (44, 46, 23):
        with pytest.raises(ValueError, match=f"resolution={size}, refine=1; resolution is 22 k"):
            airfoil_grid(PLAIN, size)
    with pytest.raises(ValueError, match="iterations=0"):
        sample_airfoil(0, iterations=0)
    grid, wake = airfoil_grid(PLAIN, 45)
    with pytest.raises(ValueError, match="no wake cut"):
        solve_euler(grid, wake + 1)
    grid[20, 3] += 3.0
    with pytest.raises(ValueError, match=r"cell \(\d+, \d+\) of the grid has the area"):
        solve_euler(grid, wake)


def test_without_numba_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match=r"needs numba; pip install 'pyg-neuralops\[generate\]'"):
        sample_airfoil(0, 45, iterations=10)
