"""Data larger than the memory: samples that stay in their files give the results of those in memory."""

from __future__ import annotations

import json
import weakref
from pathlib import Path

import pytest
import torch

from pyg_neuralops.cli import main
from pyg_neuralops.data import HDF5Samples, MeshData, mesh_loader, read_hdf5, write_hdf5
from pyg_neuralops.engine import GraphValue, NextFrame, SteadyField, TimeQuery
from pyg_neuralops.engine.identity import _samples
from pyg_neuralops.models import NeuralOperator, build_model
from pyg_neuralops.study import DataChoice, Recipe, Splits, load_splits
from pyg_neuralops.study import baselines as trivial
from pyg_neuralops.study import prepared_samples as kept
from pyg_neuralops.study.fitted import fitted
from pyg_neuralops.study.on_disk import CheckedFile
from pyg_neuralops.study.prepared_samples import PreparedSamples
from pyg_neuralops.study.run import Prepared, prepare, train_run
from pyg_neuralops.testing import random_mesh

MODELS = {
    "la2former": {"hidden_channels": 8, "num_layers": 1, "heads": 2, "patches": {"k": 4}},
    "graph-sage": {"hidden_channels": 8, "num_layers": 1},
}
SMALL = ["--model", "graph-sage", "--hidden-channels", "8", "--num-layers", "1"]
SMALL += ["--epochs", "1", "--accelerator", "cpu"]
MODES = {"x": "channel", "y": "channel", "pos": "scalar"}


def disk(path: Path, **options) -> Splits:
    return load_splits(DataChoice(dataset=str(path), on_disk=True, **options))


def ready(splits: Splits, name: str = "la2former") -> Prepared:
    return prepare(build_model(name, **splits.shape, **MODELS[name]), splits)


def run(choice: DataChoice, out: Path, name: str) -> dict:
    splits, recipe = load_splits(choice), Recipe(epochs=2, batch_size=4, max_nodes=70, accelerator="cpu")
    return train_run(splits, ready(splits, name), name, MODELS[name], recipe, 0, out, progress=False)


def outcome(result: dict) -> list:
    """What a run came to, without seconds."""
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in result["history"]]
    return [rows, result["test"], result["metrics"], result["best_val"]]


def assert_same(one: MeshData, two: MeshData) -> None:
    assert one.to_dict().keys() == two.to_dict().keys()
    for name, value in one.to_dict().items():
        assert torch.equal(value, two[name]) if isinstance(value, torch.Tensor) else value == two[name]


def all_files(folder: Path, part: str) -> list[Path]:
    return [path for path in folder.rglob("*.pt") if part in str(path) and path.parent.name != "normalisers"]


@pytest.fixture
def prepared_now(monkeypatch) -> list[int]:
    """Grows by one whenever a model prepares a sample."""
    made, prepare = [], NeuralOperator.prepare

    def counted(self, data):
        made.append(1)
        return prepare(self, data)

    counted.__wrapped__ = prepare
    monkeypatch.setattr(NeuralOperator, "prepare", counted)
    return made


@pytest.mark.parametrize(("name", "protocol"), [("la2former", "standard"), ("graph-sage", "paper")])
def test_a_run_is_the_same_on_disk_and_in_memory(name, protocol, mesh_file, tmp_path):
    options = {"dataset": str(mesh_file), "protocol": protocol}
    memory = run(DataChoice(**options), tmp_path / "memory", name)
    first, again = (run(DataChoice(**options, on_disk=True), tmp_path / out, name) for out in ("first", "again"))
    assert outcome(memory) == outcome(first) == outcome(again)
    assert memory["data"]["digest"] != first["data"]["digest"] == again["data"]["digest"]


def test_the_command_line_has_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = ["--dataset", "darcy", "--num-samples", "24", "--resolution", "5", "--workers", "0"]
    stored = [*data, "--on-disk"]
    for out, words in (("memory", data), ("disk", stored)):
        assert main(["train", *words, *SMALL, "--out", out]) == 0
    memory, found = (json.loads(Path(out, "result.json").read_text()) for out in ("memory", "disk"))
    assert outcome(memory) == outcome(found)
    for out, words in (("memory.json", data), ("disk.json", stored)):
        model = ["--checkpoint", "disk/best.safetensors", "--accelerator", "cpu"]
        assert main(["evaluate", *model, *words, "--split", "all", "--out", out]) == 0
    memory, found = (json.loads(Path(out).read_text())["errors"] for out in ("memory.json", "disk.json"))
    assert len(found["per_sample"]) == 24
    assert memory == found
    capsys.readouterr()
    said = []
    for words in (data, stored):
        assert main(["data", *words[1:]]) == 0
        said.append(capsys.readouterr().out.replace("\n", " ").split("digest")[1].split(maxsplit=1)[1])
    assert said[0] == said[1]
    size = [*SMALL[2:], "--models", "graph-sage"]
    assert main(["compare", *stored, *size, "--out", "compared"]) == 0


def test_a_dataset_of_ones_own_is_refused():
    with pytest.raises(ValueError, match="on_disk=True reads HDF5 files, and dataset 'json:loads' is of your own"):
        load_splits(DataChoice(dataset="json:loads", on_disk=True))


def test_items_are_the_same_and_made_when_asked_for(tmp_path):
    generator = torch.Generator().manual_seed(0)
    fields = [[torch.rand(12, width, generator=generator) for width in (2, 3, 4)] for _ in range(10)]
    path = tmp_path / "frames.h5"
    write_hdf5(path, [MeshData(pos=pos, x=x, y=y) for pos, x, y in fields])
    memory, stored = load_splits(DataChoice(dataset=str(path))), disk(path)
    for task in (NextFrame(), NextFrame(channels=1, residual=True), TimeQuery(times=2), SteadyField()):
        one, two = task.items(memory.train), task.items(stored.train)
        assert len(one) == len(two)
        for index in range(len(one)):
            assert_same(one[index], two[index])
        assert_same(one[-1], two[len(two) - 1])
    items = NextFrame().items(stored.train)
    assert len(items) == 4 * len(stored.train)
    assert items.node_counts() == [12] * len(items)
    assert items.content_digest() == stored.train.content_digest()
    film = torch.cat([stored.train[1].x, stored.train[1].y], 1)
    assert torch.equal(items[6].x, film[:, 2:5])
    assert torch.equal(items[6].y, film[:, 5:6])


def test_targets_of_whole_samples_are_scaled_alike(tmp_path):
    samples = [random_mesh(10, seed=seed) for seed in range(10)]
    for seed, sample in enumerate(samples):
        sample.y = torch.tensor([[float(seed), 2.0 * seed]])
    path = write_hdf5(tmp_path / "values.h5", samples)
    one, two = (GraphValue().items(s.train) for s in (load_splits(DataChoice(dataset=str(path))), disk(path)))
    assert torch.equal(one[0].y_scale, two[0].y_scale)


def test_what_was_checked_is_not_read_again(mesh_file, monkeypatch):
    first, read = disk(mesh_file), []
    unchecked = HDF5Samples.unchecked

    def counted(self, index):
        read.append(index)
        return unchecked(self, index)

    monkeypatch.setattr(HDF5Samples, "unchecked", counted)
    counts, node_counts = [], HDF5Samples.node_counts
    monkeypatch.setattr(HDF5Samples, "node_counts", lambda self: counts.append(1) or node_counts(self))
    assert disk(mesh_file).info == first.info
    assert len(read) == 1  # whether there is a y
    assert len(counts) == 3  # splits, not samples
    note = next(mesh_file.parent.rglob("*-checked.json"))
    note.write_text(note.read_text().replace("sha256", "sha257"))
    assert disk(mesh_file).info == first.info
    assert len(read) == 2 + 24


def test_the_first_wrong_sample_is_named(mesh_file):
    samples, _ = read_hdf5(mesh_file)
    odd = random_mesh(10, in_channels=3, seed=0)
    with pytest.raises(ValueError, match="sample 24"):
        write_hdf5(mesh_file, [*samples, odd])
    import h5py

    with h5py.File(mesh_file, "r+") as file:
        file["y"][-1] = float("nan")
    with pytest.raises(ValueError, match=r"meshes\.h5: sample 23: y holds nan"):
        disk(mesh_file)


def test_an_edited_file_is_noticed(mesh_file):
    splits = disk(mesh_file)
    prepared = ready(splits)
    assert prepared.train[0].patch_index.numel()
    old = all_files(mesh_file.parent, splits.train.places[0][0].digest[:16])
    assert len(old) == 1
    samples, _ = read_hdf5(mesh_file)
    samples[0].y[0] += 1
    write_hdf5(mesh_file, samples)
    with pytest.raises(ValueError, match=r"meshes\.h5 was changed since it was checked"):
        _ = prepared.train[1]
    again = disk(mesh_file)
    assert again.info["digest"] != splits.info["digest"]
    assert torch.equal(ready(again).train[0].y, samples[0].y)
    assert not old[0].exists()


@pytest.mark.parametrize("name", MODELS)
def test_neighbours_are_searched_once(name, mesh_file, prepared_now):
    splits = disk(mesh_file)
    first = list(ready(splits, name).train)
    assert len(prepared_now) == 16
    again = list(ready(disk(mesh_file), name).train)
    assert len(prepared_now) == 16
    memory = ready(load_splits(DataChoice(dataset=str(mesh_file))), name).train
    for one, two, three in zip(first, again, memory, strict=True):
        assert_same(one, two)
        assert_same(one, three)
    other = build_model("la2former", **splits.shape, **{**MODELS["la2former"], "patches": {"k": 5}})
    assert prepare(other, splits).train[0].patch_key.startswith("knn(k=5)")


def test_samples_on_one_mesh_share_a_file(grid_samples, tmp_path):
    path = write_hdf5(tmp_path / "grid.h5", grid_samples)
    prepared = ready(disk(path))
    list(prepared.train)
    assert len(all_files(tmp_path, "grid")) == 1


def test_a_damaged_file_is_made_again(mesh_file, prepared_now, caplog):
    splits = disk(mesh_file)
    first = ready(splits).train[0]
    path = all_files(mesh_file.parent, "prepared")[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert_same(ready(splits).train[0], first)
    assert "damaged" in caplog.text
    assert len(prepared_now) == 2
    assert_same(ready(splits).train[0], first)
    assert len(prepared_now) == 2


def test_a_full_disk_is_said_once(mesh_file, monkeypatch, caplog):
    def full(value, path):
        raise OSError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(kept, "save_tensors", full)
    assert len([sample.patch_key for sample in ready(disk(mesh_file)).train]) == 16
    assert caplog.text.count("No space left") == 1


def test_normalisers_are_fitted_once(mesh_file, monkeypatch):
    splits = disk(mesh_file)
    for name in MODELS:
        models = [build_model(name, **splits.shape, **MODELS[name]) for _ in range(2)]
        first = fitted(models[0], ready(splits, name).train, splits.task, MODES)
        with monkeypatch.context() as patch:
            patch.setattr("pyg_neuralops.study.fitted.normalized", None)
            again = fitted(models[1], ready(splits, name).train, splits.task, MODES)
        parts = [dict(model.named_buffers()) for model in (first, again)]
        assert parts[0].keys() == parts[1].keys()
        assert all(
            torch.equal(value, parts[1][key]) for key, value in parts[0].items() if key.endswith(("mean", "std"))
        )


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
def test_loader_workers_give_the_same_batches(mesh_file):
    train = ready(disk(mesh_file)).train
    none, two = (mesh_loader(train, 3, shuffle=True, seed=1, num_workers=count) for count in (0, 2))
    for one, other in zip(none, two, strict=True):
        assert_same(one, other)


def test_few_samples_are_in_memory_at_a_time(tmp_path, monkeypatch):
    path = tmp_path / "many.h5"
    write_hdf5(path, (random_mesh(12, seed=seed) for seed in range(100)))
    alive: weakref.WeakSet = weakref.WeakSet()
    most, read = [0], CheckedFile.read

    def counted(self, row):
        sample = read(self, row)
        alive.add(sample.pos)
        most[0] = max(most[0], len(alive))
        return sample

    monkeypatch.setattr(CheckedFile, "read", counted)
    splits, recipe = disk(path), Recipe(epochs=1, batch_size=4, max_nodes=60, accelerator="cpu")
    name = "graph-sage"
    train_run(splits, ready(splits, name), name, MODELS[name], recipe, 0, tmp_path / "run", progress=False)
    assert 4 <= most[0] < 20
    splits.describe()
    assert most[0] < 20


def test_a_run_does_not_read_samples_that_tell_their_digest(mesh_file, monkeypatch):
    prepared = ready(disk(mesh_file))
    monkeypatch.setattr(PreparedSamples, "__getitem__", None)
    assert _samples(mesh_loader(prepared.train, 2).dataset, "sample") == prepared.train.content_digest()


def test_baselines_are_fitted_on_what_memory_holds(mesh_file, monkeypatch):
    memory, stored = load_splits(DataChoice(dataset=str(mesh_file))), disk(mesh_file)
    found = [trivial.trivial_baselines(s.train, s.val, s.test, s.task) for s in (memory, stored)]
    for one, two in zip(*found, strict=True):
        assert one.reason == two.reason
        assert one.scores is None or torch.equal(one.scores.first, two.scores.first)
    monkeypatch.setattr(trivial, "FITTED", 100)
    mean = trivial.trivial_baselines(stored.train, stored.val, stored.test, stored.task)[0]
    assert "fitted on 4 of 16 training samples" in mean.reason
