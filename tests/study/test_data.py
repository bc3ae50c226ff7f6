"""From a name or a file to splits."""

from __future__ import annotations

import pytest
import torch

from pyg_neuralops.checkpoint import load_model
from pyg_neuralops.cli import main
from pyg_neuralops.data import mesh_loader, read_hdf5, write_hdf5
from pyg_neuralops.engine import fit
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.study import DataChoice, load_splits
from pyg_neuralops.testing import random_mesh


def sizes(**choice) -> dict[str, int]:
    return load_splits(DataChoice(**choice)).info["sizes"]


def test_file_is_split_as_it_says(mesh_file):
    assert sizes(dataset=str(mesh_file)) == {"train": 16, "val": 4, "test": 4}
    paper = load_splits(DataChoice(dataset=str(mesh_file), protocol="paper"))
    assert paper.val is None
    assert paper.info["sizes"] == {"train": 20, "test": 4}
    assert paper.shape == {"in_channels": 1, "out_channels": 1, "pos_dim": 2}
    assert paper.info["names"]["y"] == ["answer"]


def test_file_without_splits_is_split_by_seed(tmp_path):
    path = str(tmp_path / "plain.h5")
    write_hdf5(path, [random_mesh(10, seed=seed) for seed in range(20)])
    splits = [load_splits(DataChoice(dataset=path, split_seed=seed)) for seed in (0, 0, 1)]
    firsts = [split.test[0].pos for split in splits]
    assert splits[0].info["sizes"] == {"train": 14, "val": 2, "test": 4}
    assert torch.equal(firsts[0], firsts[1])
    assert not torch.equal(firsts[0], firsts[2])


def test_global_parameters_are_inputs_and_everything_is_float32(tmp_path):
    samples = [random_mesh(10, seed=seed, dtype=torch.float64) for seed in range(10)]
    for sample in samples:
        sample.theta = torch.rand(1, 3, dtype=torch.float64)
    write_hdf5(tmp_path / "theta.h5", samples)
    splits = load_splits(DataChoice(dataset=str(tmp_path / "theta.h5")))
    assert splits.shape["in_channels"] == 5
    assert splits.train[0].x.shape[1] == 2
    assert splits.train[0].theta.shape == (1, 3)
    assert splits.train[0].x.dtype == splits.train[0].pos.dtype == torch.float32


def test_one_file_gives_one_model_from_python_and_from_the_command_line(tmp_path):
    """Parameters and time are the model's, so nothing is left for a study to do."""
    parts = {"train": [], "val": [], "test": []}
    for seed, split in enumerate(["train"] * 6 + ["val"] * 2 + ["test"] * 2):
        sample = random_mesh(15 + seed, seed=seed)
        sample.theta, sample.time = torch.tensor([[1e3 * seed, 2.0]]), torch.tensor([0.5 * seed])
        sample.y, sample.split = sample.x[:, :1] * seed, split
        parts[split].append(sample)
    path = str(tmp_path / "globals.h5")
    write_hdf5(path, [sample for part in parts.values() for sample in part])
    settings = "--model la2former --hidden-channels 8 --num-layers 1 --epochs 2 --batch-size 3 --accelerator cpu"
    main(["train", "--dataset", path, "--out", str(tmp_path / "line"), "--seed", "4", *settings.split()])

    samples, _ = read_hdf5(path)
    train, val = ([s for s in samples if s.split == name] for name in ("train", "val"))
    torch.manual_seed(4)
    shape = {"in_channels": train[0].in_channels, "out_channels": 1}
    inner = build_model("la2former", **shape, hidden_channels=8, num_layers=1)
    loaders = mesh_loader(train, 3, shuffle=True, seed=4), mesh_loader(val, 3)
    model = normalized(inner, train)
    fit(model, *loaders, out=tmp_path / "python", epochs=2, seed=4, accelerator="cpu")
    there = load_model(tmp_path / "line" / "best.safetensors").state_dict()
    assert shape["in_channels"] == 2 + 2 + 9
    assert there.keys() == model.state_dict().keys()
    assert all(torch.equal(value, there[name]) for name, value in model.state_dict().items())


def test_digest_follows_the_values(mesh_file):
    before = load_splits(DataChoice(dataset=str(mesh_file))).info["digest"]
    samples, _ = read_hdf5(mesh_file)
    samples[0].y[0] += 1
    write_hdf5(mesh_file, samples)
    assert load_splits(DataChoice(dataset=str(mesh_file))).info["digest"] != before


def test_dataset_by_name(tmp_path):
    choice = DataChoice(
        dataset="darcy", dataset_args={"num_samples": 12, "resolution": 5}, root=str(tmp_path), workers=0
    )
    splits = load_splits(choice)
    assert sum(splits.info["sizes"].values()) == 12
    assert splits.info["nodes"] == [25, 25, 25]
    assert splits.info["source"] == "generated"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"dataset": "darcie"}, r"unknown dataset 'darcie'; choose from \['advection-diffusion'"),
        ({"dataset": "darcy", "dataset_args": {"pionts": 3}}, r"no argument \['pionts'\]; choose from .*'num_samples'"),
        ({"dataset": "darcy", "protocol": "papre"}, r"protocol='papre'; choose from"),
    ],
)
def test_unknown_names_list_the_choices(choice, message):
    with pytest.raises(ValueError, match=message):
        load_splits(DataChoice(**choice))


def test_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*missing\.h5"):
        load_splits(DataChoice(dataset=str(tmp_path / "missing.h5")))
    samples = [random_mesh(10, seed=seed) for seed in range(10)]
    for sample in samples:
        sample.y = None
    write_hdf5(tmp_path / "inputs.h5", samples)
    with pytest.raises(ValueError, match="no target fields y"):
        load_splits(DataChoice(dataset=str(tmp_path / "inputs.h5")))
    with pytest.raises(ValueError, match="a file takes no arguments"):
        load_splits(DataChoice(dataset=str(tmp_path / "inputs.h5"), dataset_args={"points": 3}))


def test_positions_that_float32_cannot_hold_are_refused(tmp_path):
    samples = [random_mesh(100, seed=seed, dtype=torch.float64) for seed in range(10)]
    for sample in samples:
        sample.pos = sample.pos + 1e7
    write_hdf5(tmp_path / "far.h5", samples)
    with pytest.raises(ValueError, match="do not survive float32; subtract an offset"):
        load_splits(DataChoice(dataset=str(tmp_path / "far.h5")))
