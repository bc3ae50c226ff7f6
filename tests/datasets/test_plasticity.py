from functools import partial
from itertools import pairwise

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from pyg_neuralops.datasets.plasticity import FILE, Plasticity
from pyg_neuralops.solvers.forging import LENGTH
from pyg_neuralops.solvers.plasticity import random_die, sample_plasticity

TINY = {"num_samples": 12, "columns": 11, "rows": 4, "density_scale": 100.0, "workers": 0}
COUNT = 14


def finer(field, axis):
    """Ten steps for one, linear between."""
    field = np.moveaxis(field, axis, 0)
    part = np.arange(10).reshape(-1, *[1] * (field.ndim - 1)) / 10
    inner = [(1 - part) * one + part * two for one, two in pairwise(field)]
    return np.moveaxis(np.concatenate([*inner, field[-1:]]), 0, axis)


@pytest.fixture(scope="module")
def official():
    """Arrays as in the official file: from right to left and from the top down, the die's points left to right."""
    samples = [sample_plasticity((0, 0, index), 11, 4, 100.0) for index in range(COUNT)]
    output = finer(finer(np.stack([sample.trajectory for sample in samples]), 1), 2)
    output[..., :2] -= [49.65, 0.1]
    rng = [np.random.default_rng(np.random.SeedSequence((0, 0, index))) for index in range(COUNT)]
    dies = np.stack([random_die(one)[::4] for one in rng]) + 14.9
    return {"input": dies.astype("f4"), "output": np.ascontiguousarray(output[:, ::-1, ::-1]).astype("f4")}


def write(root, arrays):
    folder = root / "raw" / "plasticity"
    folder.mkdir(parents=True)
    scipy.io.savemat(folder / FILE, arrays)
    return partial(Plasticity, root, num_samples=12)


def test_a_trajectory_at_the_nodes_of_a_grid(tmp_path):
    data = Plasticity(tmp_path, **TINY)[2]
    assert (data.x.shape, data.y.shape, data.pos.shape) == ((44, 1), (44, 80), (44, 2))
    assert data.grid_shape == (11, 4)
    sample = sample_plasticity((0, 0, 2), 11, 4, 100.0)
    np.testing.assert_array_equal(data.y.view(11, 4, 20, 4), sample.trajectory.astype("f4"))
    np.testing.assert_array_equal(data.x.view(11, 4), np.repeat(sample.die.astype("f4")[:, None], 4, 1))
    torch.testing.assert_close(data.pos.view(11, 4, 2)[3, 2], torch.tensor([15.0, 10.0]))
    torch.testing.assert_close(data.pos[:, None] + data.y.view(44, 20, 4)[..., 2:], data.y.view(44, 20, 4)[..., :2])
    assert float(data.weight.sum()) == pytest.approx(750)
    corners = data.pos[data.quad]  # [4, Q, 2]
    one, two = corners[2] - corners[0], corners[3] - corners[1]
    torch.testing.assert_close(0.5 * (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]), torch.full((30,), 25.0))


def test_channels_are_named_by_time(tmp_path):
    info = Plasticity(tmp_path, **TINY).info
    assert info["names"]["y"][:5] == ["x@1", "y@1", "ux@1", "uy@1", "x@2"]
    assert info["names"]["y"][-1] == "uy@20"
    assert info["units"]["x"] == ["mm"]
    assert (info["density_scale"], info["generator_version"]) == (100.0, 1)
    assert 0 < info["energy_error_max"] < 0.01


@pytest.mark.parametrize("mirrored", [False, True])
def test_official_files_are_turned_to_the_order_of_the_generated_ones(official, tmp_path, mirrored):
    arrays = {**official, "input": official["input"][:, ::-1]} if mirrored else official
    make = write(tmp_path, arrays)
    train, test = make(protocol="paper"), make("test")
    assert (train.source, len(train), len(test)) == ("official", 11, 1)
    for data, row in ((train[3], 3), (test[0], COUNT - 1)):
        assert data.grid_shape == (101, 31)
        np.testing.assert_array_equal(data.y.view(101, 31, 20, 4), official["output"][row, ::-1, ::-1])
        np.testing.assert_allclose(data.x.view(101, 31)[:, 5], official["input"][row] - 14.9, atol=1e-4)
        pos = data.pos.view(101, 31, 2)
        torch.testing.assert_close(pos[0, 0], torch.tensor([-49.65, -0.1]), atol=1e-4, rtol=0)
        torch.testing.assert_close(pos[100, 30], torch.tensor([0.35, 14.9]), atol=1e-4, rtol=0)
        corners = data.pos[data.quad[:, 0].long()]
        torch.testing.assert_close(corners - corners[0], 0.5 * torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
    assert float(train[0].weight.sum()) == pytest.approx(LENGTH * 15, rel=1e-4)


def test_official_files_of_matlab_7_3_are_read_too(official, tmp_path):
    make = write(tmp_path / "five", official)
    folder = tmp_path / "seven" / "raw"
    folder.mkdir(parents=True)
    with h5py.File(folder / FILE, "w") as file:
        for name, value in official.items():
            file[name] = value.T
    seven = Plasticity(tmp_path / "seven", "test", num_samples=12, source="official")
    assert torch.equal(make("test")[0].y, seven[0].y)
    assert torch.equal(make("test")[0].x, seven[0].x)


def changed(official, **arrays):
    return {**official, **arrays}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"output": a["output"].swapaxes(1, 2)}, r"shapes .*\(14, 31, 101, 20, 4\).*expected"),
        (lambda a: {"output": a["output"].swapaxes(3, 4)}, r"shapes .*\(14, 101, 31, 4, 20\).*expected"),
        (lambda a: {"output": a["output"][:13]}, r"shapes .*\(13, 101, 31, 20, 4\).*expected"),
        (lambda a: {"input": a["input"][:9], "output": a["output"][:9]}, "hold 9 samples; 12 are needed"),
        (lambda a: {"output": a["output"][..., [1, 0, 3, 2]]}, "initial grid of 0.5 mm, x along axis 0"),
        (lambda a: {"output": a["output"][..., [0, 1, 3, 2]]}, "that do not move"),
        (lambda a: {"output": a["output"][..., [2, 3, 0, 1]]}, "a bottom that does not sink"),
        (lambda a: {"output": a["output"] * 1e-3}, "an initial grid of 0.5 mm"),
        (lambda a: {"output": a["output"][:, :, :, ::-1]}, "a top that goes down all the time"),
        (lambda a: {"output": np.full_like(a["output"], np.nan)}, "finite numbers"),
        (lambda a: {"input": np.roll(a["input"], 3, 0)}, "the correlation is"),
        (lambda a: {"input": a["input"] - 14.9}, "strokes of"),
        (lambda a: {"input": 1e3 * a["input"]}, "strokes of"),
    ],
)
def test_wrong_official_files_are_refused(official, tmp_path, change, message):
    make = write(tmp_path, {**official, **change(official)})
    with pytest.raises(ValueError, match=message):
        make("test")


def test_truncated_and_foreign_files_are_refused(official, tmp_path):
    make = write(tmp_path, official)
    (path,) = tmp_path.rglob(FILE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"truncated|foreign"):
        make("test")
    path.write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(ValueError, match=r"truncated|foreign"):
        make("test")


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="rows=1"):
        Plasticity(tmp_path, rows=1)
    with pytest.raises(ValueError, match="density_scale=-1"):
        Plasticity(tmp_path, density_scale=-1)
    with pytest.raises(FileNotFoundError, match="plas_N987_T20"):
        Plasticity(tmp_path, source="official")
    assert list(tmp_path.iterdir()) == []
