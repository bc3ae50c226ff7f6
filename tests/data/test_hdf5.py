import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import torch

from pyg_neuralops.data import HDF5Meshes, MeshData, read_hdf5, write_hdf5
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import KNNPatches


def meshes():
    samples = []
    for i, n in enumerate((12, 30, 7)):
        data = random_mesh(n, seed=n)
        data.theta, data.time = torch.tensor([[1.0 * i, 2.0]]), torch.tensor([0.5 * i])
        data.weight, data.split = torch.linspace(0, 1, n), ("train", "train", "test")[i]
        samples.append(data)
    return samples


def assert_same(one, two):
    assert set(one.keys()) == set(two.keys())
    for name, value in one.to_dict().items():
        assert torch.equal(value, two[name]) if isinstance(value, torch.Tensor) else value == two[name]


def test_what_is_written_is_read(tmp_path):
    names, units = {"x": ["a", "b"], "y": ["u"]}, {"pos": ["m", "m"]}
    path = write_hdf5(tmp_path / "m.h5", meshes(), names=names, units=units, attrs={"solver": "none", "seed": 3})
    samples, info = read_hdf5(path)
    for one, two in zip(meshes(), samples, strict=True):
        assert_same(one, two)
    assert info["names"] == names
    assert info["units"] == units
    assert info["solver"] == "none"
    for one, two in zip(meshes(), HDF5Meshes(path), strict=True):
        assert_same(one, two)


def test_grids_quads_and_doubles_round_trip(tmp_path):
    data = MeshData(pos=torch.rand(6, 2).double(), y=torch.rand(6, 1).double(), grid_shape=(2, 3))
    data.quad = torch.tensor([[0, 1], [3, 4], [4, 5], [1, 2]])
    assert_same(read_hdf5(write_hdf5(tmp_path / "g.h5", [data]))[0][0], data)


def test_more_samples_than_one_block_of_writing(tmp_path):
    samples = [random_mesh(3 + i % 5, seed=i) for i in range(150)]
    for one, two in zip(samples, read_hdf5(write_hdf5(tmp_path / "m.h5", iter(samples)))[0], strict=True):
        assert_same(one, two)


def test_splits_of_the_file_are_taken(tmp_path):
    path = write_hdf5(tmp_path / "m.h5", meshes())
    assert len(HDF5Meshes(path, split="train")) == 2
    assert len(HDF5Meshes(path, split="test")) == 1
    with pytest.raises(ValueError, match="no samples of split='val'"):
        HDF5Meshes(path, split="val")
    with pytest.raises(ValueError, match="choose from"):
        HDF5Meshes(path, split="dev")


def test_the_first_wrong_sample_is_named_and_nothing_is_left(tmp_path):
    samples = meshes()
    samples[1].y[4, 0] = float("nan")
    with pytest.raises(ValueError, match="sample 1: y holds nan at row 4"):
        write_hdf5(tmp_path / "m.h5", samples)
    with pytest.raises(ValueError, match="no sample"):
        write_hdf5(tmp_path / "m.h5", [])
    with pytest.raises(ValueError, match="names of x has 1 entries"):
        write_hdf5(tmp_path / "m.h5", meshes(), names={"x": ["a"]})
    with pytest.raises(ValueError, match="field 'z'"):
        write_hdf5(tmp_path / "m.h5", meshes(), units={"z": ["a"]})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_hdf5(tmp_path / "m.h5", meshes())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="sample 0"):
        write_hdf5(path, [MeshData(pos=torch.zeros(2, 4))])
    assert path.read_bytes() == before


def test_truncated_and_foreign_files_are_named(tmp_path):
    path = write_hdf5(tmp_path / "m.h5", meshes())
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[:-500])
    (tmp_path / "text.h5").write_text("hello")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.zeros(3)
    for name, message in (("cut", "truncated or foreign"), ("text", "truncated or foreign"), ("other", "format=None")):
        with pytest.raises(ValueError, match=message):
            HDF5Meshes(tmp_path / f"{name}.h5")
        assert not list(tmp_path.glob(f"{name}.h5.cache/processed/*.pt"))
    with pytest.raises(FileNotFoundError, match="none"):
        HDF5Meshes(tmp_path / "none.h5")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.__delitem__("pos"), "no dataset 'pos'"),
        (lambda f: f["node_ptr"].__setitem__(3, 60), "node_ptr runs from 0 to 60"),
        (lambda f: f["x"].__setitem__((15, 1), np.nan), "sample 1: x holds nan at row 3, column 1"),
        (lambda f: f["face"].__setitem__((0, 0), 99), "sample 0: face refers to nodes 0 to 99"),
        (lambda f: f["theta"].resize(2, axis=0), "theta has 2 rows"),
    ],
)
def test_a_spoilt_file_says_where(tmp_path, spoil, message):
    path = write_hdf5(tmp_path / "m.h5", meshes())
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(ValueError, match=message):
        HDF5Meshes(path)


def test_a_changed_file_or_transform_is_not_served_from_the_old_cache(tmp_path):
    path = write_hdf5(tmp_path / "m.h5", meshes())
    assert HDF5Meshes(path, pre_transform=KNNPatches(3))[0].patch_index.shape[1] == 36
    assert HDF5Meshes(path, pre_transform=KNNPatches(4))[0].patch_index.shape[1] == 48
    time.sleep(0.01)
    write_hdf5(path, meshes()[:1])
    assert len(HDF5Meshes(path)) == 1


def test_a_damaged_cache_and_a_root_that_cannot_be_written_are_named(tmp_path):
    path = write_hdf5(tmp_path / "m.h5", meshes())
    cache = HDF5Meshes(path).processed_paths[0]
    with open(cache, "r+b") as file:
        file.truncate(os.path.getsize(cache) // 2)
    with pytest.raises(ValueError, match="force_reload"):
        HDF5Meshes(path)
    assert len(HDF5Meshes(path, force_reload=True)) == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="choose another root"):
        HDF5Meshes(path, root=tmp_path / "file" / "root")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_cache_that_is_a_pickle_is_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_hdf5(tmp_path / "m.h5", meshes())
    torch.save((Bomb(), None), HDF5Meshes(path).processed_paths[0])
    with pytest.raises(ValueError, match="damaged or foreign"):
        HDF5Meshes(path)
    assert not (tmp_path / "exploded").exists()


def test_two_processes_on_one_root(tmp_path):
    path = write_hdf5(tmp_path / "m.h5", meshes())
    code = f"from pyg_neuralops.data import HDF5Meshes; print(len(HDF5Meshes({str(path)!r})))"
    command = [sys.executable, "-c", code]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate(timeout=120)[0] for run in runs] == ["3\n", "3\n"]
    assert [p.suffix for p in (tmp_path / "m.h5.cache" / "processed").iterdir() if p.name != ".lock"] == [".pt"]
