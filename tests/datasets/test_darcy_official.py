import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from pyg_neuralops.datasets import Darcy
from pyg_neuralops.datasets.darcy import FILES
from pyg_neuralops.solvers import sample_darcy

COUNT = 13
OPTIONS = {"num_samples": 12, "protocol": "paper", "source": "official"}


@pytest.fixture(scope="module")
def fields():
    """Coefficient and solution in the official layout: two samples, turned and reflected into more."""
    solved = [sample_darcy((9, 0, seed), resolution=421, refine=1) for seed in range(2)]
    pairs = [np.stack([sample.a, sample.u]) for sample in solved]
    flipped = [pair[:, :: 1 - 2 * x, :: 1 - 2 * y] for pair in pairs for x in (0, 1) for y in (0, 1)]
    all_of_them = [*flipped, *(pair.transpose(0, 2, 1) for pair in flipped)][:COUNT]
    coeff, sol = np.stack(all_of_them, 1).astype(np.float32)
    return {"coeff": coeff, "sol": sol}


def write(root, files, version=5):
    (root / "raw" / "folder").mkdir(parents=True, exist_ok=True)
    for stream, fields in files.items():
        path = root / "raw" / "folder" / FILES[stream]
        if version == 5:
            savemat(path, {"Kcoeff": np.zeros((2, 2)), **fields})
        else:
            with h5py.File(path, "w", userblock_size=512) as file:
                for name, values in fields.items():
                    file[name] = values.T
    return path


@pytest.mark.parametrize("version", [5, 7.3])
def test_official_files(tmp_path, fields, version):
    write(tmp_path, {"train": fields, "test": {name: values[7:11] for name, values in fields.items()}}, version)
    train, test = (Darcy(tmp_path, split, **OPTIONS) for split in ("train", "test"))
    assert (len(train), len(test)) == (10, 2)
    assert train.info["source"] == train[0].source == "official"
    for sample, row in ((train[0], 0), (train[9], 9), (test[0], 7), (test[1], 8)):
        np.testing.assert_array_equal(sample.x.view(85, 85), fields["coeff"][row, ::5, ::5])
        np.testing.assert_array_equal(sample.y.view(85, 85), fields["sol"][row, ::5, ::5])
    generated = Darcy(tmp_path / "generated", "test", num_samples=12, refine=1, workers=0)[0]
    assert test[0].keys() == generated.keys()
    for name in ("pos", "quad", "weight"):
        assert torch.equal(test[0][name], generated[name])
    assert test[0].grid_shape == (85, 85)


def test_other_resolutions(tmp_path, fields):
    write(tmp_path, {"train": fields, "test": fields})
    for resolution, stride in ((141, 3), (11, 42)):
        sample = Darcy(tmp_path, "test", resolution=resolution, **OPTIONS)[1]
        np.testing.assert_array_equal(sample.x.view(resolution, -1), fields["coeff"][1, ::stride, ::stride])
        np.testing.assert_array_equal(sample.y.view(resolution, -1), fields["sol"][1, ::stride, ::stride])
    with pytest.raises(ValueError, match=r"resolution=86; of the official 421 .* 85, .*source='generated'"):
        Darcy(tmp_path, resolution=86, **OPTIONS)


def test_the_published_storage_at_cell_centres_is_accepted(tmp_path, fields):
    # Half a cell inside the boundary u is not 0.
    sol = fields["sol"]
    inner = np.linspace(0.5, 419.5, 421)
    low = inner.astype(int)
    for axis in (1, 2):
        part = (inner - low).astype(np.float32).reshape(-1, *(2 - axis) * [1])
        sol = (1 - part) * np.take(sol, low, axis) + part * np.take(sol, low + 1, axis)
    assert sol[:, 0].max() > 1e-5
    write(tmp_path, {"train": fields, "test": {"coeff": fields["coeff"], "sol": sol}})
    assert len(Darcy(tmp_path, "test", **OPTIONS)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, u: (u, a), "coeff has .* values from"),
        (lambda a, u: (a / 3, u), "coeff has 2 values from 1 to 4"),
        (lambda a, u: (a.transpose(0, 2, 1), u), "% off the solution"),
        (lambda a, u: (a, u[:, ::-1]), "% off the solution"),
        (lambda a, u: (a[::-1], u), "% off the solution"),
        (lambda a, u: (a, 2 * u), "100% off the solution"),
        (lambda a, u: (a, -u), "sol is -"),
        (lambda a, u: (a, np.nan * u), "sol is nan"),
        (lambda a, u: (a, np.roll(u, 100, 1)), "at most 4% of the maximum on the boundary"),
        (lambda a, u: (a, u[:, ::5, ::5]), r"sol has shape \[13, 85, 85\]; expected \[samples, 421, 421\]"),
        (lambda a, u: (a.T, u.T), r"coeff has shape \[421, 421, 13\]"),
        (lambda a, u: (a[:1], u[:1]), "hold 1 samples; 2 are needed"),
    ],
)
def test_what_is_not_this_flow_is_refused(tmp_path, fields, change, message):
    pair = (np.ascontiguousarray(values[[0, 4, *range(1, 4), *range(5, COUNT)]]) for values in fields.values())
    write(tmp_path, {"train": {}, "test": dict(zip(fields, change(*pair), strict=True))}, 7.3)
    with pytest.raises(ValueError, match=message):
        Darcy(tmp_path, "test", **OPTIONS)
    assert not list(tmp_path.glob("raw/*.h5"))


def test_other_files_are_refused(tmp_path, fields):
    few = {name: values[:2] for name, values in fields.items()}
    path = write(tmp_path, {"train": few, "test": {"coeff": few["coeff"]}})
    with pytest.raises(ValueError, match=r"sol has shape \[\]"):
        Darcy(tmp_path, "test", **OPTIONS)
    write(tmp_path, {"train": few, "test": few})
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="truncated or foreign"):
        Darcy(tmp_path, "test", **OPTIONS)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"smooth1.*smooth2"):
        Darcy(tmp_path, "test", **OPTIONS)
