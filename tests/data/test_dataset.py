"""Caches: of this very content and this very transform, whole, and none that is no longer asked for."""

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import pytest
import torch

from pyg_neuralops.data import HDF5Meshes, read_hdf5, write_hdf5
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import KNNPatches


def write(path, seed, count=3):
    return write_hdf5(path, [random_mesh(20, seed=10 * seed + index) for index in range(count)])


def x(samples):
    return torch.cat([sample.x for sample in samples])


def test_an_edit_that_keeps_size_and_time_is_seen(tmp_path):
    path = write(tmp_path / "m.h5", 0)
    old, stat = x(HDF5Meshes(path)), path.stat()
    write(tmp_path / "other.h5", 1)
    content = (tmp_path / "other.h5").read_bytes()
    path.write_bytes(content)
    os.truncate(path, max(stat.st_size, len(content)))  # HDF5 does not mind what follows
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new = x(HDF5Meshes(path))
    assert torch.equal(new, x(read_hdf5(tmp_path / "other.h5")[0]))
    assert not torch.equal(old, new)


def test_files_of_one_stem_and_time_share_a_root(tmp_path):
    paths = [write(tmp_path / name / "m.h5", seed) for seed, name in enumerate(("a", "b"))]
    for path in paths:
        os.utime(path, (1, 1))
    for _ in range(2):
        for path in paths:
            assert torch.equal(x(HDF5Meshes(path, root=tmp_path / "root")), x(read_hdf5(path)[0]))
    assert len([*tmp_path.glob("root/processed/*.pt")]) == 2


def test_caches_of_old_content_are_removed_and_others_are_not(tmp_path):
    path = write(tmp_path / "m.h5", 0)
    for k in (3, 4):
        HDF5Meshes(path, pre_transform=KNNPatches(k))
    first = HDF5Meshes(path)
    folder = tmp_path / "m.h5.cache" / "processed"
    (folder / "notes-0123456789abcdef.pt").write_text("somebody's")
    (folder / f"{first.cache_stem}-0123abcd.pt").write_text("of an older version")
    assert len([*folder.glob("*.pt")]) == 5
    write(path, 1)
    second = HDF5Meshes(path)
    assert sorted(p.name for p in folder.glob("*.pt")) == sorted(
        [second.processed_file_names[0], "notes-0123456789abcdef.pt"]
    )


class Replaced(HDF5Meshes):
    """Whose file is replaced by another process while it is read."""

    others: list

    def read_source(self):
        samples = super().read_source()
        if self.others:
            shutil.copy(self.others.pop(), self.path)
        return samples


def test_a_file_that_is_replaced_while_it_is_read(tmp_path):
    path, other = write(tmp_path / "m.h5", 0), write(tmp_path / "other.h5", 1)
    first = (path).read_bytes()
    Replaced.others = [other]
    found = Replaced(path)
    assert torch.equal(x(found), x(read_hdf5(other)[0]))
    assert torch.equal(x(HDF5Meshes(path)), x(found))
    path.write_bytes(first)
    assert not torch.equal(x(HDF5Meshes(path)), x(found))
    (tmp_path / "first.h5").write_bytes(first)
    Replaced.others = [tmp_path / "first.h5", other] * 2
    with pytest.raises(ValueError, match=r"m\.h5 changes while it is read"):
        Replaced(path, force_reload=True)


def test_a_transform_that_changes_as_it_works_is_cached_once(tmp_path):
    path = write(tmp_path / "m.h5", 0)

    class Counting:
        def __init__(self):
            self.count = 0

        def __call__(self, data):
            self.count += 1
            data.x = data.x + self.count
            return data

    found = HDF5Meshes(path, pre_transform=Counting())
    again = Counting()
    assert torch.equal(x(HDF5Meshes(path, pre_transform=again)), x(found))
    assert again.count == 0


def test_every_flipped_bit_of_file_and_cache_is_an_error_or_changes_nothing(tmp_path):
    path = write(tmp_path / "m.h5", 0)
    samples = HDF5Meshes(path)
    cache = samples.processed_paths[0]
    expected, chance = [sample.to_dict() for sample in samples], random.Random(0)
    for file in (path, Path(cache)):
        good = file.read_bytes()
        errors = 0
        for bit in chance.sample(range(8 * len(good)), 150):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            file.write_bytes(bad)
            try:
                found = [sample.to_dict() for sample in HDF5Meshes(path)]
            except ValueError as error:
                assert file.name in str(error)  # noqa: PT017
                errors += 1
                continue
            assert file == path
            for one, two in zip(found, expected, strict=True):
                assert list(one) == list(two)
                assert all(
                    torch.equal(one[key], two[key]) if torch.is_tensor(two[key]) else one[key] == two[key]
                    for key in two
                )
        assert errors == 150 if file != path else errors > 60
        for size in chance.sample(range(len(good)), 20):
            file.write_bytes(good[:size])
            with pytest.raises(ValueError, match=file.name):
                HDF5Meshes(path)
        file.write_bytes(good)
        assert len(HDF5Meshes(path)) == 3


@pytest.mark.parametrize("kind", ["link", "storage", "virtual"])
def test_a_mesh_file_does_not_read_other_files(tmp_path, kind):
    path = write(tmp_path / "m.h5", 0)
    secret = write(tmp_path / "secret.h5", 1)
    with h5py.File(path, "r+") as file:
        shape = file["x"].shape
        del file["x"]
        if kind == "link":
            file["x"] = h5py.ExternalLink(str(secret), "/x")
        elif kind == "storage":
            file.create_dataset("x", shape, "f4", external=[(str(secret), 0, 4 * shape[0] * shape[1])])
        else:
            layout = h5py.VirtualLayout(shape, "f4")
            layout[:] = h5py.VirtualSource(str(secret), "x", shape)
            file.create_virtual_dataset("x", layout)
    with pytest.raises(ValueError, match=r"m\.h5: /x (is a link to|keeps its values in another file)"):
        HDF5Meshes(path)


CODE = "from pyg_neuralops.data import HDF5Meshes; import sys; print(len(HDF5Meshes(sys.argv[1])))"


def test_writers_in_one_folder_do_not_harm_each_other(tmp_path):
    """A lock is taken and left in a folder, again and again, while another process and a thread write there."""
    path = write(tmp_path / "m.h5", 0)
    root = tmp_path / "m.h5.cache" / "processed"
    root.mkdir(parents=True)
    failed = []

    def writes():
        try:
            for seed in range(25):
                write(root / f"own{seed}.h5", seed)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=writes)
    thread.start()
    for _ in range(25):
        HDF5Meshes(path, force_reload=True)
    thread.join()
    done = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True)
    assert (failed, done.stdout) == ([], "3\n")
    assert len([*root.glob("own*.h5")]) == 25
