import numpy as np
import pytest

from pyg_neuralops.solvers.navier_stokes import (
    cutoff,
    forcing,
    random_vorticity,
    sample_navier_stokes,
    solve_navier_stokes,
)


def nodes(size):
    x = 2 * np.pi * np.arange(size) / size
    return x[:, None], x[None]


def distance(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def smooth(size):
    x, y = nodes(size)
    return np.sin(x) * np.cos(2 * y) + 0.5 * np.cos(2 * x + y) + 0.3 * np.sin(3 * y - x)


def test_a_forced_single_mode_is_exact():
    force, viscosity, time = forcing(32), 1e-2, 1.0
    rate = 8 * np.pi**2 * viscosity
    (w,), _ = solve_navier_stokes(2 * force, force, viscosity, frames=1, dt=0.01)
    expected = force * (2 * np.exp(-rate * time) + (1 - np.exp(-rate * time)) / rate)
    np.testing.assert_allclose(w, expected, atol=1e-12)


def test_vortices_of_one_wave_length_decay_exactly():
    # Of a sum of modes of one wave length the stream function is a multiple, so that advection vanishes.
    x, y = nodes(32)
    taylor_green = np.cos(x) * np.cos(y)
    rosette = np.sin(5 * x) + 2 * np.cos(3 * x + 4 * y) - np.sin(4 * x - 3 * y) + np.cos(5 * y)
    for start, squared in ((taylor_green, 2), (rosette, 25)):
        w, _ = solve_navier_stokes(start, 0 * start, 1e-3, frames=3, interval=0.5)
        for frame, time in zip(w, (0.5, 1.0, 1.5), strict=True):
            np.testing.assert_allclose(frame, start * np.exp(-1e-3 * 4 * np.pi**2 * squared * time), atol=1e-12)


def test_a_manufactured_steady_flow_stays():
    # psi = sin x cos 2y + sin y + cos 3x (in phases) with u = (psi_y, -psi_x) and w = -lap psi.
    x, y = nodes(32)
    scale, viscosity = 2 * np.pi, 0.02
    u = scale * (-2 * np.sin(x) * np.sin(2 * y) + np.cos(y))
    v = scale * (-np.cos(x) * np.cos(2 * y) + 3 * np.sin(3 * x))
    w = scale**2 * (5 * np.sin(x) * np.cos(2 * y) + np.sin(y) + 9 * np.cos(3 * x))
    w_x = scale**3 * (5 * np.cos(x) * np.cos(2 * y) - 27 * np.sin(3 * x))
    w_y = scale**3 * (-10 * np.sin(x) * np.sin(2 * y) + np.cos(y))
    minus_laplacian = scale**4 * (25 * np.sin(x) * np.cos(2 * y) + np.sin(y) + 81 * np.cos(3 * x))
    force = u * w_x + v * w_y + viscosity * minus_laplacian
    (end,), _ = solve_navier_stokes(w, force, viscosity, frames=1, interval=0.02, dt=5e-4)
    assert distance(end, w) < 1e-8
    (wrong,), _ = solve_navier_stokes(w, 2 * viscosity * minus_laplacian - force, viscosity, frames=1, interval=0.02)
    assert distance(wrong, w) > 0.1  # the sign of advection matters


def test_fourth_order_in_time():
    start = smooth(24)
    last, errors = None, []
    for steps in (64, 16, 8, 4):
        (w,), taken = solve_navier_stokes(start, forcing(24), 1e-3, frames=1, interval=1.0, dt=1 / steps)
        assert taken == steps
        last = w if last is None else last
        errors.append(distance(w, last))
    orders = np.log2(np.array(errors[2:]) / errors[1:-1])
    assert (np.abs(orders - 4) < 0.3).all(), (errors, orders)


def test_spectral_convergence_in_space():
    (reference,), _ = solve_navier_stokes(smooth(96), forcing(96), 2e-3, frames=1, interval=4.0)
    errors = []
    for size in (16, 24, 32, 48):
        (w,), _ = solve_navier_stokes(smooth(size), forcing(size), 2e-3, frames=1, interval=4.0)
        errors.append(distance(w[:: size // 8, :: size // 8], reference[::12, ::12]))
    assert errors[0] > 6 * errors[1] > 6 * 6 * errors[2], errors
    assert errors[3] < 1e-4, errors


def test_an_inviscid_flow_keeps_energy_enstrophy_and_mean():
    # Aliased products keep none of the two; those of a Galerkin method keep both.
    start = random_vorticity(np.random.default_rng(0), 32) + 0.25
    w, _ = solve_navier_stokes(start, 0 * start, 0.0, frames=2, interval=2.0, dt=0.01)
    np.testing.assert_allclose(w.mean((1, 2)), 0.25, rtol=1e-12)
    k = np.fft.fftfreq(32, 1 / 32)
    squared = k[:, None] ** 2 + k**2
    squared[0, 0] = np.inf
    moved = distance(w[-1], start)
    assert moved > 0.3
    for weight in (np.ones_like(squared), 1 / squared):
        before, *after = (np.sum(weight * np.abs(np.fft.fft2(field)) ** 2) for field in (start, *w))
        np.testing.assert_allclose(after, before, rtol=1e-6)


def test_a_reflected_flow():
    # Swapping the axes turns the sense of rotation.
    start, force = smooth(24), 0.1 * smooth(24)[:, ::-1]
    w, _ = solve_navier_stokes(start, force, 1e-3, frames=2)
    swapped, _ = solve_navier_stokes(-start.T, -force.T, 1e-3, frames=2)
    np.testing.assert_allclose(swapped, -w.transpose(0, 2, 1), atol=1e-10)


def test_steps_shorten_where_the_flow_is_fast():
    start = smooth(32)
    for factor in (1.0, 1e2):
        (w,), steps = solve_navier_stokes(factor * start, 0 * start, 0.0, frames=1, interval=1.0, dt=1.0)
        assert np.abs(w).max() < 2 * factor * np.abs(start).max()
        assert steps >= 2 * factor


def test_the_initial_field_has_its_spectrum_and_does_not_depend_on_the_grid():
    fields = np.stack([random_vorticity(np.random.default_rng(seed), 16) for seed in range(400)])
    np.testing.assert_allclose(fields.mean((1, 2)), 0, atol=1e-12)
    power = (np.abs(np.fft.fft2(fields)) ** 2 / 16**4).mean(0)
    for k in ((1, 0), (0, 1), (1, 1), (-2, 1), (0, 5), (4, -3)):
        expected = 2 * 7**3 * (4 * np.pi**2 * (k[0] ** 2 + k[1] ** 2) + 49) ** -2.5
        assert power[k] == pytest.approx(expected, rel=0.25), k  # 1 / sqrt(400) is 5%
    coarse, fine = (np.fft.fft2(random_vorticity(np.random.default_rng(3), size)) / size**2 for size in (16, 40))
    most = cutoff(16)
    kept = np.ix_(range(-most, most + 1), range(-most, most + 1))
    np.testing.assert_allclose(fine[kept], coarse[kept], atol=1e-14)


def test_the_force_is_a_wave_along_the_diagonal():
    x, y = nodes(12)
    np.testing.assert_allclose(forcing(12), 0.1 * np.sqrt(2) * np.sin(x + y + np.pi / 4), atol=1e-15)


def test_a_sample_depends_on_its_seed_alone():
    size = {"resolution": 8, "frames": 3}
    one, same, other = (sample_navier_stokes(seed, refine=2, **size) for seed in ((3, 0, 5), [3, 0, 5], (3, 1, 5)))
    np.testing.assert_array_equal(one.vorticity, same.vorticity)
    assert distance(other.vorticity, one.vorticity) > 0.1
    assert one.vorticity.shape == (3, 8, 8)
    fine = sample_navier_stokes((3, 0, 5), resolution=16, refine=1, frames=3)
    np.testing.assert_array_equal(fine.vorticity[:, ::2, ::2], one.vorticity)
    assert one.steps >= 3 / 0.05


def test_refining_the_solve_converges():
    solved = [sample_navier_stokes((0, 0, 1), 16, refine, frames=4).vorticity for refine in (1, 2, 4, 8)]
    errors = [distance(w, solved[-1]) for w in solved[:-1]]
    assert errors[0] > 2 * errors[1] > 2 * 2 * errors[2], errors
    assert errors[2] < 0.01


def test_wrong_arguments_are_refused():
    w = smooth(8)
    for arguments, message in (
        ((w, w[:4], 0.1), r"force \(4, 8\)"),
        ((w, w, -1.0), "viscosity=-1.0"),
        ((w, w, np.nan), "viscosity=nan"),
        ((w, w, 0.1, 0), "frames=0"),
    ):
        vorticity, force, viscosity, frames = (*arguments, 1)[:4]
        with pytest.raises(ValueError, match=message):
            solve_navier_stokes(vorticity, force, viscosity, frames=frames)
    with pytest.raises(ValueError, match="resolution=2"):
        sample_navier_stokes(0, resolution=2)
    with pytest.raises(ValueError, match=r"dt=0\.0"):
        sample_navier_stokes(0, resolution=8, dt=0.0)
    with pytest.raises(RuntimeError, match="overflowed"):
        solve_navier_stokes(w, 1e200 * w, 0.0, frames=1)
    with pytest.raises(RuntimeError, match="1000000 are allowed"):
        solve_navier_stokes(1e8 * w, w, 0.0)
