import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from pyg_neuralops.datasets.navier_stokes import FILE, NavierStokes
from pyg_neuralops.solvers.navier_stokes import sample_navier_stokes
from pyg_neuralops.transforms import KNNPatches

COUNT = 16


@pytest.fixture(scope="module")
def u():
    """Fourteen true samples and two wrong ones between train and test, in the layout of the official file."""
    w = [sample_navier_stokes((9, 0, seed), refine=1).vorticity.transpose(1, 2, 0) for seed in range(2)]
    # The force does not change along (1, -1), so that a sample moved that way is a sample.
    moved = [np.roll(w[row % 2], (5 * row, -5 * row), (0, 1)) for row in range(COUNT)]
    u = np.stack(moved).astype(np.float32)
    u[11:13] = np.nan
    return u


def write(root, u, version=5, name="u"):
    (root / "raw" / "folder").mkdir(parents=True, exist_ok=True)
    path = root / "raw" / "folder" / FILE
    if version == 5:
        savemat(path, {name: u})
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            file[name] = u.T
    return path


def test_fields_of_a_generated_sample(tmp_path):
    data = NavierStokes(tmp_path, "test", num_samples=12, resolution=8, refine=2, dt=0.2, workers=0)
    sample = data[0]
    w = sample_navier_stokes((0, 1, 0), 8, 2, 0.2).vorticity.astype(np.float32)
    assert sample.source == "generated"
    assert sample.x.shape == sample.y.shape == (64, 10)
    np.testing.assert_array_equal(sample.x.view(8, 8, 10)[:, :, 3], w[3])
    np.testing.assert_array_equal(sample.y.view(8, 8, 10)[:, :, 9], w[19])
    torch.testing.assert_close(sample.pos.view(8, 8, 2)[2, 7], torch.tensor([2 / 8, 7 / 8]))
    assert sample.pos.max() == 7 / 8
    assert sample.grid_shape == (8, 8)
    assert sample.quad.shape == (4, 49)
    x, y = sample.pos[sample.quad].unbind(-1)
    area = 0.5 * (x * y.roll(-1, 0) - y * x.roll(-1, 0)).sum(0)
    torch.testing.assert_close(area, torch.full((49,), 1 / 64))
    torch.testing.assert_close(sample.weight, torch.full((64,), 1 / 64))
    assert data.info["names"]["x"][0] == "vorticity@1"
    assert data.info["names"]["y"] == [f"vorticity@{time}" for time in range(11, 21)]
    assert data.info["steps_max"] >= 100


def test_periodic_patches_reach_across_the_edge(tmp_path):
    data = NavierStokes(tmp_path, "test", num_samples=12, resolution=8, refine=1, dt=0.5, workers=0)
    sample = KNNPatches(5, period=1.0)(data[0])
    neighbours, centre = sample.patch_index
    assert set(neighbours[centre == 0].tolist()) == {0, 1, 7, 8, 56}


@pytest.mark.parametrize("version", [5, 7.3])
def test_official_file(tmp_path, u, version):
    write(tmp_path, u, version)
    options = {"num_samples": 13, "source": "official", "protocol": "paper"}
    train, test = (NavierStokes(tmp_path, split, **options) for split in ("train", "test"))
    assert (len(train), len(test)) == (11, 2)
    assert train[0].source == "official"
    for sample, row in ((train[3], 3), (test[0], COUNT - 2), (test[1], COUNT - 1)):
        np.testing.assert_array_equal(sample.x.view(64, 64, 10), u[row, :, :, :10])
        np.testing.assert_array_equal(sample.y.view(64, 64, 10), u[row, :, :, 10:])
    coarse = NavierStokes(tmp_path, "test", resolution=16, **options)[0]
    np.testing.assert_array_equal(coarse.x.view(16, 16, 10), u[COUNT - 2, ::4, ::4, :10])
    torch.testing.assert_close(coarse.pos.view(16, 16, 2)[1, 2], torch.tensor([1 / 16, 2 / 16]))
    with pytest.raises(ValueError, match="not finite"):
        NavierStokes(tmp_path, "train", **{**options, "num_samples": 15})  # trains on the first NaN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda u: u.transpose(0, 2, 1, 3), "order of axes"),
        (lambda u: u[:, ::-1], "order of axes"),
        (lambda u: u[..., ::-1], "order of axes"),
        (lambda u: 2 * u, "order of axes"),
        (lambda u: u[..., np.random.default_rng(0).permutation(20)], "times its size away from the next"),
        (lambda u: u + 1, "mean vorticity"),
        (lambda u: 0 * u, "frame of zeros"),
        (lambda u: u.transpose(0, 3, 1, 2), r"u has shape \[16, 20, 64, 64\]"),
        (lambda u: u.transpose(3, 2, 1, 0), r"u has shape \[20, 64, 64, 16\]"),
        (lambda u: u[:, :32, :32], r"u has shape \[16, 32, 32, 20\]"),
        (lambda u: u[:8], "hold 8 samples; 13 are needed"),
        (lambda u: 1j * u, "real numbers"),
    ],
)
def test_what_is_not_this_flow_is_refused(tmp_path, u, change, message):
    path = write(tmp_path, np.ascontiguousarray(change(u)))
    with pytest.raises(ValueError, match=message):
        NavierStokes(tmp_path, num_samples=13)
    assert not list(path.parents[1].glob("*.h5"))


def test_an_edge_that_does_not_close_is_refused(tmp_path, u):
    ramp = np.linspace(-10, 10, 64, dtype=np.float32)
    write(tmp_path, u + ramp[:, None, None])
    with pytest.raises(ValueError, match="across the edge in x"):
        NavierStokes(tmp_path, num_samples=13)


def test_other_files_are_refused(tmp_path, u):
    path = write(tmp_path / "name", u, name="v")
    with pytest.raises(ValueError, match=r"u has shape \[\]"):
        NavierStokes(tmp_path / "name", num_samples=13)
    for version in (5, 7.3):
        root = tmp_path / f"cut{version}"
        path = write(root, u, version)
        path.write_bytes(path.read_bytes()[:100_000])
        with pytest.raises(ValueError, match="truncated or foreign"):
            NavierStokes(root, num_samples=13)
    path.write_text("no numbers here " * 100)
    with pytest.raises(ValueError, match="truncated or foreign"):
        NavierStokes(root, num_samples=13)


def test_arguments_that_do_not_fit_the_official_file_are_refused(tmp_path, u):
    write(tmp_path, u)
    for wrong in ({"resolution": 24}, {"viscosity": 1e-3}):
        with pytest.raises(ValueError, match="source='generated' for others"):
            NavierStokes(tmp_path, num_samples=13, **wrong)
    with pytest.raises(FileNotFoundError, match=FILE):
        NavierStokes(tmp_path / "empty", source="official")
    with pytest.raises(ValueError, match="viscosity=-1"):
        NavierStokes(tmp_path, viscosity=-1)
