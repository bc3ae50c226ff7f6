import os
import signal
import subprocess
import sys
import time
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch_geometric.transforms import BaseTransform

from pyg_neuralops.data import MeshData, mesh_loader
from pyg_neuralops.datasets import DATASETS, Darcy, DarcyIrregular, PDEDataset
from pyg_neuralops.files import _here
from pyg_neuralops.solvers import sample_darcy, sample_darcy_irregular

TINY = {
    "darcy": {"resolution": 9, "refine": 2},
    "darcy-irregular": {"points": 120, "refine": 0},
    "navier-stokes": {"resolution": 8, "refine": 1, "dt": 0.5},
    "elasticity": {"points": 200, "refine": 0, "refine_void": 0},
    "plasticity": {"columns": 11, "rows": 4, "density_scale": 100.0},
    "airfoil": {"resolution": 45, "iterations": 60},
    "pipe": {"resolution": 17, "refine": 1, "viscosity": 0.05},
    "advection-diffusion": {"points": 120, "refine": 0},
    "anisotropic-diffusion": {"points": 120, "refine": 0},
    "poisson": {"per_side": 6},
}


def make(name, root, split="train", **changes):
    return DATASETS[name](root / name, split, **{"num_samples": 24, "workers": 0, **TINY[name], **changes})


def assert_same(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for key in a.keys():  # noqa: SIM118  (a Data object iterates over pairs)
            assert torch.equal(a[key], b[key]) if torch.is_tensor(a[key]) else a[key] == b[key], key


class Scale(BaseTransform):
    def __init__(self, factor):
        self.factor = factor

    def forward(self, data):
        data.y = self.factor * data.y
        return data


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("datasets")


@pytest.mark.parametrize("name", DATASETS)
def test_splits_are_disjoint_and_complete(name, root):
    standard = {split: make(name, root, split) for split in ("train", "val", "test")}
    assert {split: len(data) for split, data in standard.items()} == {"train": 18, "val": 2, "test": 4}
    samples = [data.y.numpy().tobytes() for split in standard.values() for data in split]
    assert len(set(samples)) == 24
    paper = make(name, root, protocol="paper")
    assert_same([*standard["train"], *standard["val"]], paper)
    assert_same(standard["test"], make(name, root, "test", protocol="paper"))


@pytest.mark.parametrize("name", DATASETS)
def test_any_number_of_workers_and_samples_gives_the_same_content(name, root, tmp_path):
    one = make(name, root)
    assert_same(one, make(name, tmp_path, workers=2))
    longer = make(name, tmp_path, num_samples=36)
    assert_same(one, longer[: len(one)])


def test_a_sample_alone_equals_the_sample_in_the_set(root):
    for split, stream in (("train", 0), ("test", 1)):
        alone = sample_darcy((0, stream, 3), resolution=9, refine=2)
        data = make("darcy", root, split)[3]
        np.testing.assert_array_equal(data.y.view(9, 9), alone.u.astype(np.float32))
        np.testing.assert_array_equal(data.x.view(9, 9), alone.a.astype(np.float32))
        alone = sample_darcy_irregular((0, stream, 3), points=120, refine=0)
        data = make("darcy-irregular", root, split)[3]
        np.testing.assert_array_equal(data.y[:, 0], alone.u.astype(np.float32))
        np.testing.assert_array_equal(data.face.T, alone.triangles)


def test_grid_nodes_and_quads(root):
    data = make("darcy", root)[0]
    assert data.grid_shape == (9, 9)
    pos = data.pos.view(9, 9, 2)
    torch.testing.assert_close(pos[3, 5], torch.tensor([3 / 8, 5 / 8]))
    assert_cells_cover(data.pos, data.quad, 1.0)
    assert not data.y.view(9, 9)[[0, -1]].any()


def test_triangles_cover_the_domain(root):
    for data in make("darcy-irregular", root):
        assert_cells_cover(data.pos, data.face, None)
        assert data.x.shape == (data.num_nodes, 2)
        marked = data.x[:, 1] == 1
        assert (data.y[marked] == 0).all()
        assert (data.y[~marked] > 0).all()


def assert_cells_cover(pos, cells, total):
    """Counter-clockwise, of positive area; every node belongs to a cell."""
    x, y = pos[cells].unbind(-1)  # [corners, cells]
    area = 0.5 * (x * y.roll(-1, 0) - y * x.roll(-1, 0)).sum(0)
    assert (area > 0).all()
    assert cells.unique().numel() == len(pos)
    assert cells.dtype == torch.long
    assert pos.dtype == torch.float32
    if total is not None:
        assert float(area.sum()) == pytest.approx(total)
    else:
        assert 0.7 < float(area.sum()) < 1


def test_samples_batch(root):
    loader = mesh_loader(make("darcy-irregular", root), batch_size=5)
    batch = next(iter(loader))
    assert batch.source == 5 * ["generated"]
    assert int(batch.face.max()) == batch.num_nodes - 1
    assert next(iter(mesh_loader(make("darcy", root), batch_size=2))).grid_shape == 2 * [(9, 9)]


def test_provenance_is_in_the_raw_file(root):
    info = make("darcy-irregular", root).info
    assert info["source"] == "generated"
    assert info["generator"].endswith("sample_darcy_irregular")
    found = [info[key] for key in ("seed", "points", "refine", "generator_version")]
    assert found == [0, 120, 0, DarcyIrregular.version]
    assert any(version.startswith("scikit-fem ") for version in info["versions"])
    assert 0 <= info["residual_max"] < 1e-8
    assert info["redraws_min"] <= info["redraws_mean"] <= info["redraws_max"]
    assert info["names"]["y"] == ["solution"]
    assert info["units"]["pos"] == ["1", "1"]


def test_different_parameters_never_share_a_file(root):
    changes = [{}, {"resolution": 5}, {"refine": 1}, {"seed": 1}, {"num_samples": 30}]
    sets = [make("darcy", root, **change) for change in changes]
    assert len({data.raw_paths[0] for data in sets}) == len(sets)
    assert "train20-resolution9-refine2-seed0" in sets[0].raw_paths[0]
    assert not torch.equal(sets[0][0].y, sets[3][0].y)
    sets += [make("darcy", root, split) for split in ("val", "test")]
    sets += [make("darcy", root, pre_transform=Scale(factor)) for factor in (2.0, 3.0)]
    sets += [make("darcy", root, protocol="paper")]
    assert len({data.processed_paths[0] for data in sets}) == len(sets)
    torch.testing.assert_close(sets[-2][0].y, 3 * sets[0][0].y)


def test_a_set_is_made_once(root):
    before = os.stat(make("darcy", root).raw_paths[0]).st_mtime_ns
    data = make("darcy", root, force_reload=True)
    assert os.stat(data.raw_paths[0]).st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, r"split='valid'; choose from \['train', 'val', 'test'\]"),
        ({"split": "val", "protocol": "paper"}, "protocol='paper' has no val"),
        ({"protocol": "papers"}, "protocol='papers'; choose from"),
        ({"source": "offical"}, r"source='offical'; choose from \['auto', "),
        ({"num_samples": 11}, "num_samples=11; it must be at least 12"),
        ({"seed": -1}, "seed=-1; it must be at least 0"),
        ({"workers": -2}, "workers=-2; it must be at least 0"),
        ({"executor": object()}, "workers=0 and an executor; give one of them"),
    ],
)
@pytest.mark.parametrize("name", DATASETS)
def test_wrong_arguments_are_refused(name, arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make(name, tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", DATASETS)
def test_on_disk_reads_the_same_samples(name, root):
    for split in ("train", "val", "test"):
        assert_same(make(name, root, split), make(name, root, split, on_disk=True))


def test_on_disk_works_in_a_loaders_workers_and_refuses_a_pre_transform(root):
    data = make("darcy", root, on_disk=True, transform=Scale(2.0))
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=1)
    for one, two in zip(loader, make("darcy", root), strict=True):
        torch.testing.assert_close(one.y, 2 * two.y)
    with pytest.raises(ValueError, match="on_disk=True stores nothing processed"):
        make("darcy", root, on_disk=True, pre_transform=Scale(2.0))


class Toy(PDEDataset):
    """Two files of numbers, of which sample i has value i."""

    name, version, solver = "toy", 1, "nobody:calls"
    names: ClassVar = {"y": ("value",)}
    units: ClassVar = {"y": ("1",)}
    official_files = ("values.npy",)
    official_counts = (20, 4)

    def __init__(self, root, split="train", **options):
        super().__init__({}, root, split, **options)

    def count_official(self, files):
        return len(np.load(files["values.npy"], mmap_mode="r"))

    def read_official(self, files, rows):
        values = torch.from_numpy(np.load(files["values.npy"]))
        for row in rows:
            yield MeshData(pos=torch.rand(3, 2), y=values[row].expand(3, 1).clone())


@pytest.mark.parametrize(("test_rows", "first"), [("last", 26), ("next", 20), ("first", 0)])
def test_official_rows_are_those_of_the_published_protocol(test_rows, first, tmp_path, monkeypatch):
    monkeypatch.setattr(Toy, "official_test", test_rows)
    folder = tmp_path / "raw" / "some" / "folder"
    folder.mkdir(parents=True)
    np.save(folder / "values.npy", np.arange(30, dtype=np.float32))
    found = {split: [int(d.y[0]) for d in Toy(tmp_path, split)] for split in ("train", "val", "test")}
    assert found == {"train": [*range(18)], "val": [18, 19], "test": [*range(first, first + 4)]}
    paper = Toy(tmp_path, protocol="paper")
    assert [int(d.y[0]) for d in paper] == [*range(20)]
    assert (paper.source, paper[0].source) == ("official", "official")
    assert paper.info["rows"] == [0, 20]
    assert "values.npy sha256" in paper.info["files"][0]
    assert [int(d.y[0]) for d in Toy(tmp_path, num_samples=12)] == [*range(9)]


def test_official_files_that_are_too_short_absent_or_changed_are_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no official files below .*raw; all of \['values.npy'\]"):
        Toy(tmp_path, source="official")
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw" / "values.npy", np.arange(23, dtype=np.float32))
    with pytest.raises(ValueError, match="hold 23 samples; 24 are needed"):
        Toy(tmp_path)
    monkeypatch.setattr(Toy, "official_sha256", {"values.npy": "0" * 64})
    with pytest.raises(ValueError, match=r"has sha256 .*; the official file has 000"):
        Toy(tmp_path)
    assert not [*tmp_path.rglob("*.h5"), *tmp_path.rglob("*.tmp")]


def test_a_part_of_the_official_files_is_no_reason_to_generate(tmp_path, monkeypatch):
    monkeypatch.setattr(Toy, "official_files", ("values.npy", "more.npy"))
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw" / "values.npy", np.arange(30, dtype=np.float32))
    with pytest.raises(FileNotFoundError, match=r"only values.npy\); all of .* or source='generated'"):
        Toy(tmp_path)
    monkeypatch.setattr(Toy, "official_files", ("values.npy",))
    Toy(tmp_path)
    (tmp_path / "raw" / "values.npy").unlink()
    assert [int(d.y[0]) for d in Toy(tmp_path)] == [*range(18)]
    with pytest.raises(FileNotFoundError, match="no official files"):  # the test stream was never converted
        Toy(tmp_path, "test")


def test_samples_converted_again_are_not_served_from_the_old_cache(tmp_path):
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw" / "values.npy", np.arange(30, dtype=np.float32))
    old = Toy(tmp_path)
    np.save(tmp_path / "raw" / "values.npy", np.arange(100, 130, dtype=np.float32))
    os.remove(old.raw_paths[0])
    assert int(Toy(tmp_path)[0].y[0]) == 100


def test_a_smaller_set_is_never_tested_on_the_full_ones_training_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(Toy, "official_test", "next")
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw" / "values.npy", np.arange(30, dtype=np.float32))
    assert [int(d.y[0]) for d in Toy(tmp_path, "test", num_samples=12)] == [20, 21]


def test_links_to_official_files(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "values.npy", np.arange(30, dtype=np.float32) + 100 * (folder == "two"))
    root = tmp_path / "root"
    for _ in range(2):
        Toy.link_official(tmp_path / "one", root)
        assert int(Toy(root)[0].y[0]) == 0
        Toy.link_official(root / "raw", root)  # itself
        assert int(Toy(root)[0].y[0]) == 0
        Toy.link_official(tmp_path / "two", root)
        assert int(Toy(root)[0].y[0]) == 100
    (root / "raw" / "values.npy").unlink()
    np.save(root / "raw" / "values.npy", np.zeros(30, np.float32))
    with pytest.raises(ValueError, match="is there already, and is not"):
        Toy.link_official(tmp_path / "one", root)


def test_numpy_numbers_are_parameters_too(tmp_path):
    sets = [make("darcy", tmp_path / str(w), resolution=np.int64(9), workers=w) for w in (0, 1)]
    assert_same(*sets)
    assert sets[0].raw_file_names == make("darcy", tmp_path / "0").raw_file_names


def test_on_disk_has_nothing_to_reload(root):
    assert len(make("darcy", root, on_disk=True, force_reload=True)) == 18


def test_own_parameters_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="resolution=2"):
        Darcy(tmp_path, resolution=2)
    with pytest.raises(ValueError, match="points=99"):
        DarcyIrregular(tmp_path, points=99)
    with pytest.raises(ValueError, match="refine=-1"):
        DarcyIrregular(tmp_path, refine=-1)


def test_graded_meshes_lie_beside_the_others(root):
    plain, graded = (make("darcy-irregular", root, grading=grading) for grading in (0, 4))
    assert plain.raw_paths == make("darcy-irregular", root).raw_paths
    assert "grading4.0" in graded.raw_paths[0]
    for even, uneven in zip(plain, graded, strict=True):
        spread = [(w.quantile(0.9) / w.quantile(0.1)).item() for w in (even.weight, uneven.weight)]
        assert spread[1] > spread[0]
    with pytest.raises(ValueError, match=r"grading=20; it must be 0, or"):
        make("darcy-irregular", root, grading=20)


def test_a_root_that_cannot_be_written_gives_one_clear_error(tmp_path):
    (tmp_path / "darcy").write_text("a file, not a folder")
    with pytest.raises(OSError, match=r"cannot write to .*darcy.*choose another root") as caught:
        make("darcy", tmp_path)
    assert caught.value.__cause__ is None


KILLED = """
from pyg_neuralops.datasets import Darcy
Darcy({root!r}, num_samples=144, resolution=21, refine=5, workers=2)
"""


def test_a_killed_generation_resumes_to_the_same_content(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED.format(root=str(tmp_path))], stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 60
    while not (parts := [*tmp_path.glob("raw/*.parts/*.npz")]):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not [*tmp_path.glob("raw/*.h5")]
    assert not [*tmp_path.glob("processed/*")]
    left = f".{parts[0].parent.stem}.h5.{_here()}-{process.pid}-0123abcd.tmp"  # while assembling
    (tmp_path / "raw" / left).write_text("half")
    options = {"num_samples": 144, "resolution": 21, "refine": 5}
    resumed = Darcy(tmp_path, workers=1, **options)
    assert_same(resumed, Darcy(tmp_path / "whole", workers=0, **options))
    assert sorted(path.name for path in tmp_path.glob("raw/*") if path.name != ".lock") == resumed.raw_file_names
