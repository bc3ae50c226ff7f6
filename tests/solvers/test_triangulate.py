import numpy as np
import pytest

from pyg_neuralops.solvers import (
    area,
    boundary_edges,
    contains,
    edges,
    random_outline,
    resample,
    smallest_angle,
    triangulate,
)

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def circle(radius, count=200, centre=(0.5, 0.5)):
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.asarray(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def square_with_void(rng, spacing):
    """A void with a rough outline, as in hyperelastic unit cells."""
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    mode = np.arange(1, 15)[:, None]
    waves = rng.normal(size=(2, 14)) * 6 / (mode.T**2 + 9)
    field = waves[0] @ np.cos(mode * angle) + waves[1] @ np.sin(mode * angle)
    void = 0.5 + (0.2 + 0.2 / (1 + np.exp(field)))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return [resample(SQUARE, spacing, range(4)), resample(void, spacing)]


@pytest.mark.parametrize("spacing", [0.09, 0.05])
def test_random_domains_are_conforming_and_well_shaped(spacing):
    angles = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        for kind in ("hole", "notch"):
            loops, corners = random_outline(rng, kind)
            loops = [resample(loop, spacing, keep) for loop, keep in zip(loops, corners, strict=True)]
            mesh = triangulate(loops, spacing, rng)
            points = np.concatenate(loops)
            np.testing.assert_array_equal(mesh.points[: mesh.num_boundary], points)
            assert {*map(tuple, boundary_edges(mesh.triangles))} == {*map(tuple, edges(loops))}
            corner = mesh.points[mesh.triangles]
            one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
            signed = 0.5 * (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0])
            assert (signed > 0).all()
            assert signed.sum() == pytest.approx(area(loops), rel=1e-12)
            # Euler: V - E + T = 1 - holes
            pairs = np.sort(mesh.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
            count = len(np.unique(pairs, axis=0))
            assert len(mesh.points) - count + len(mesh.triangles) == 2 - len(loops)
            angles.append(smallest_angle(mesh.points, mesh.triangles))
    assert min(angles) > 15
    assert np.median(angles) > 27


def test_the_number_of_points_is_exact():
    for seed, wanted in enumerate((972, 972, 972, 700, 1300)):
        rng = np.random.default_rng(seed)
        loops = square_with_void(rng, 0.029)
        mesh = triangulate(loops, 0.029, rng, num_points=wanted)
        assert len(mesh.points) == len(np.unique(mesh.triangles)) == wanted


def test_edges_follow_a_size_function():
    def spacing(points):
        return 0.02 + 0.1 * np.linalg.norm(points - 0.5, axis=1)

    loops = [resample(SQUARE, spacing, range(4)), resample(circle(0.15), spacing)]
    for wanted in (None, 500):
        mesh = triangulate(loops, spacing, np.random.default_rng(0), num_points=wanted)
        ends = mesh.points[mesh.triangles[:, :2]]
        length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
        ratio = length / spacing(ends.mean(axis=1))
        assert 0.8 < np.median(ratio) < 1.25
        assert np.percentile(ratio, 1) > 0.45
        assert np.percentile(ratio, 99) < 1.8


def test_the_same_generator_gives_the_same_mesh():
    loops = [resample(SQUARE, 0.1, range(4))]
    one, two = (triangulate(loops, 0.1, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one.points, two.points)
    np.testing.assert_array_equal(one.triangles, two.triangles)


def test_a_boundary_that_is_not_delaunay_is_refused():
    # Two parallel sides, far nearer to each other than the points along them are.
    slit = np.array([[0.2, 0.5], [0.8, 0.5], [0.8, 0.502], [0.2, 0.502]])
    with pytest.raises(RuntimeError, match=r"3 draws.*boundary edges are missing"):
        triangulate([SQUARE, slit], 0.3, np.random.default_rng(0), attempts=3)


def test_loops_that_cross_are_refused():
    loops = [resample(SQUARE, 0.1, range(4)), resample(circle(0.3, centre=(0.9, 0.5)), 0.1)]
    with pytest.raises(RuntimeError, match="no triangulation"):
        triangulate(loops, 0.1, np.random.default_rng(0), attempts=2)


def test_what_cannot_be_met_is_refused():
    loops = [resample(SQUARE, 0.2, range(4))]
    with pytest.raises(ValueError, match=r"num_points=20.*at least 21"):
        triangulate(loops, 0.2, np.random.default_rng(0), num_points=20)
    with pytest.raises(RuntimeError, match=r"smallest angle is .* 59 is asked"):
        triangulate(loops, 0.2, np.random.default_rng(0), min_angle=59, attempts=2)


def test_resampled_edges_are_between_six_and_twelve_tenths_of_the_spacing():
    for spacing in np.linspace(0.05, 0.5, 40):
        loop = resample(SQUARE, spacing, range(4))
        length = np.linalg.norm(np.roll(loop, -1, axis=0) - loop, axis=1) / spacing
        assert length.min() > 0.6 - 1e-9
        assert length.max() < 1.2 + 1e-9
        assert {(0, 0), (1, 0), (1, 1), (0, 1)} <= {*map(tuple, loop)}
    with pytest.raises(ValueError, match="corners is empty"):
        resample(SQUARE, 0.1, [])


def test_area_and_inside_of_a_square_with_a_round_hole():
    loops = [SQUARE, circle(0.25)[::-1]]
    assert area(loops) == pytest.approx(1 - np.pi / 16, rel=1e-3)
    points = np.random.default_rng(0).uniform(-0.5, 1.5, (5000, 2))
    inside = contains(loops, points, block=999)
    expected = (np.abs(points - 0.5) < 0.5).all(axis=1) & (np.linalg.norm(points - 0.5, axis=1) > 0.25)
    assert (inside != expected).mean() < 1e-3
