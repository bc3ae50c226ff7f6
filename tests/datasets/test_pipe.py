import numpy as np
import pytest
import torch

from pyg_neuralops.datasets.pipe import Pipe, check_continuity, check_pipe, mass_errors
from pyg_neuralops.solvers.pipe import pipe_points, sample_pipe

SIZE, SAMPLES = 129, 14
TINY = {"num_samples": 12, "resolution": 17, "refine": 1, "viscosity": 0.05, "workers": 0}


@pytest.fixture(scope="module")
def arrays():
    """Files of the official layout: u = U(y - c(x)), v = c'(x) u has no divergence, whatever the centreline c."""
    rng, t = np.random.default_rng(0), np.linspace(0, 1, SIZE)
    points = []
    for _ in range(SAMPLES):
        slopes = rng.uniform(-1, 1, 5)
        slopes[0] = 0  # then v vanishes at the inlet, too
        points.append(pipe_points(rng.uniform(-2, 2, 5), slopes, SIZE, SIZE))
    x, y = np.moveaxis(np.stack(points), -1, 0)
    u = np.broadcast_to(t * (1 - t), x.shape)
    v = u * np.gradient(y, 10 / (SIZE - 1), axis=1)
    v[:, 0] = 0
    return {"X": x, "Y": y, "Q": np.stack([u, v, 10 - x], axis=1)}


def official(root, arrays, **options):
    folder = root / "raw" / "pipe"
    folder.mkdir(parents=True)
    for key, values in arrays.items():
        np.save(folder / f"Pipe_{key}.npy", values)
    return Pipe(root, source="official", num_samples=12, **options)


def test_fields_of_a_generated_sample(tmp_path):
    data = Pipe(tmp_path, **TINY)
    alone = sample_pipe((0, 0, 3), 17, 1, 0.05)
    sample = data[3]
    assert sample.get("x") is None
    assert sample.grid_shape == (17, 17)
    assert sample.source == "generated"
    np.testing.assert_array_equal(sample.y.view(17, 17), alone.u.astype(np.float32))
    np.testing.assert_array_equal(sample.pos.view(17, 17, 2), alone.points.astype(np.float32))
    x, y = sample.pos[sample.quad].unbind(-1)  # [4, cells]
    area = 0.5 * (x * y.roll(-1, 0) - y * x.roll(-1, 0)).sum(0)
    assert (area > 0).all()
    assert float(area.sum()) == pytest.approx(10, rel=1e-5)
    assert float(sample.weight.sum()) == pytest.approx(10, rel=1e-5)
    assert data.info["viscosities_max"] == 1
    assert data.info["residual_max"] <= 1e-9


def test_generated_samples_pass_the_checks_of_official_ones():
    samples = [sample_pipe((0, 0, index), resolution=33, refine=2, viscosity=0.01) for index in range(2)]
    fields = [(sample.points, sample.u, sample.v) for sample in samples]
    for points, u, v in fields:
        check_pipe(points, u, v, "sample")
    check_continuity(fields, "samples")
    drift, error = mass_errors(samples[0].points, samples[1].u, samples[1].v)
    assert drift < 0.02
    assert error > 0.3


def test_official_files_are_read_as_they_are(tmp_path, arrays):
    train = official(tmp_path, arrays, protocol="paper")
    test = Pipe(tmp_path, "test", num_samples=12)  # finds the files by itself
    assert (train.source, test.source, len(train), len(test)) == ("official", "official", 10, 2)
    for data, first in ((train, 0), (test, 10)):
        for row, sample in enumerate(data, first):
            assert sample.grid_shape == (SIZE, SIZE)
            assert sample.get("x") is None
            x, y = sample.pos.view(SIZE, SIZE, 2).unbind(-1)
            torch.testing.assert_close(x, torch.from_numpy(arrays["X"][row]).float())
            torch.testing.assert_close(y, torch.from_numpy(arrays["Y"][row]).float())
            torch.testing.assert_close(sample.y.view(SIZE, SIZE), torch.from_numpy(arrays["Q"][row, 0]).float())


WRONG = {
    "all axes transposed": (lambda a: {k: np.swapaxes(v, -1, -2) for k, v in a.items()}, "vertical sections"),
    "axes of Q transposed": (lambda a: {**a, "Q": np.swapaxes(a["Q"], -1, -2)}, "walls|inflow"),
    "X and Y exchanged": (lambda a: {**a, "X": a["Y"], "Y": a["X"]}, "vertical sections"),
    "samples last": (lambda a: {k: np.moveaxis(v, 0, -1) for k, v in a.items()}, "shape"),
    "outlet first": (lambda a: {k: v[..., ::-1, :] for k, v in a.items()}, "from 10 to 0"),
    "upper wall first": (lambda a: {**a, "Y": a["Y"][..., ::-1]}, "lower wall to the upper"),
    "channels exchanged": (lambda a: {**a, "Q": a["Q"][:, [1, 0, 2]]}, "inflow has a peak of 0"),
    "pressure first": (lambda a: {**a, "Q": a["Q"][:, [2, 0, 1]]}, "walls"),
    "v upside down": (lambda a: {**a, "Q": a["Q"] * np.array([1, -1, 1])[:, None, None]}, "conserves mass"),
    "another order of samples": (lambda a: {**a, "Q": a["Q"][::-1]}, "order of Pipe_X.npy"),
    "half the width": (lambda a: {**a, "Y": a["Y"] / 2}, "expected 1"),
    "in millimetres": (lambda a: {**a, "X": a["X"] * 1000}, "from 0 to 1e"),
    "velocity in another unit": (lambda a: {**a, "Q": a["Q"] * 100}, "peak of 25"),
    "flux that leaks": (lambda a: {**a, "Q": a["Q"] * np.linspace(1, 0.5, SIZE)[:, None]}, "flux"),
    "not a number": (lambda a: {**a, "Q": np.where(a["Q"] > 0.24, np.nan, a["Q"])}, "not finite"),
    "two channels": (lambda a: {**a, "Q": a["Q"][:, :2]}, "expected floating-point numbers"),
    "fewer meshes": (lambda a: {**a, "Y": a["Y"][:-1]}, "Pipe_Y.npy holds"),
    "too few samples": (lambda a: {k: v[:11] for k, v in a.items()}, "11 samples; 12 are needed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused(name, tmp_path, arrays):
    change, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        official(tmp_path, change(arrays))
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("content", ["truncated", "foreign", "empty"])
def test_unreadable_files_are_refused(content, tmp_path, arrays):
    folder = tmp_path / "raw"
    folder.mkdir()
    for key, values in arrays.items():
        np.save(folder / f"Pipe_{key}.npy", values)
    path = folder / "Pipe_Q.npy"
    path.write_bytes({"truncated": path.read_bytes()[:-1000], "foreign": b"<html>", "empty": b""}[content])
    with pytest.raises(ValueError, match=r"Pipe_Q.npy is not a readable file"):
        Pipe(tmp_path, num_samples=12)


def test_sizes_are_checked(tmp_path):
    with pytest.raises(ValueError, match="resolution=64"):
        Pipe(tmp_path, resolution=64)
    with pytest.raises(ValueError, match=r"viscosity=0.001.*at least 0.3"):
        Pipe(tmp_path, viscosity=0.001)
