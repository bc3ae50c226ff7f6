"""Inputs of the geometry in the settings of a study, and the same ones at prediction."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from pyg_neuralops.checkpoint import load_model
from pyg_neuralops.cli.main import main
from pyg_neuralops.data import read_hdf5, write_hdf5
from pyg_neuralops.engine import predict
from pyg_neuralops.study import DataChoice, load_splits
from pyg_neuralops.study.geometry_inputs import GEOMETRY
from pyg_neuralops.study.on_disk import ready
from pyg_neuralops.study.provenance import read_json
from pyg_neuralops.study.settings import Geometry
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import BoundaryDistance, LocalSpacing


@pytest.fixture
def meshes(tmp_path):
    samples = []
    for seed in range(16):
        data = random_mesh(25, in_channels=2, seed=seed)
        data.y = data.x[:, 1:] * data.pos[:, :1] + 1
        data.split = ("train", "train", "val", "test")[seed % 4]
        samples.append(data)
    path = tmp_path / "meshes.h5"
    write_hdf5(path, samples, names={"x": ["mark", "force"], "y": ["u"], "pos": ["x", "y"]}, units={"pos": ["m", "m"]})
    return path


def test_channels_are_added_and_left_out(meshes):
    plain = load_splits(DataChoice(dataset=str(meshes)))
    choice = DataChoice(dataset=str(meshes), inputs=("boundary-distance", "local-spacing"), without=("mark",))
    splits = load_splits(choice)
    assert splits.info["names"]["x"] == ["force", "boundary_distance", "log_spacing"]
    assert splits.info["units"]["x"] == ["1", "m", "1"]
    assert splits.info["digest"] != plain.info["digest"]
    assert splits.shape["in_channels"] == 3
    for name in ("train", "val", "test"):
        for old, new in zip(getattr(plain, name), getattr(splits, name), strict=True):
            want = LocalSpacing()(BoundaryDistance()(old)).x[:, 1:]
            assert torch.equal(new.x, want)
            assert old.x.shape[1] == 2


def test_a_trained_model_is_given_the_same_inputs_everywhere(meshes, tmp_path, capsys):
    words = (
        "--inputs boundary-distance --without mark --model graph-sage --epochs 1 --hidden-channels 8 --accelerator cpu"
    )
    run, out = tmp_path / "run", tmp_path / "out.h5"
    assert main(["train", "--dataset", str(meshes), *words.split(), "--out", str(run)]) == 0
    result = read_json(run / "result.json", of=read_json(run / "run.json", of="run"))
    model = f"{run / 'best.safetensors'}"
    assert main(["evaluate", "--dataset", str(meshes), "--checkpoint", model, "--accelerator", "cpu"]) == 0
    errors = read_json(run / "errors-test.json")["errors"]
    assert errors["per_sample"] == pytest.approx(result["test"]["per_sample"], rel=1e-5)
    assert (
        main(["predict", "--checkpoint", model, "--input", str(meshes), "--output", str(out), "--accelerator", "cpu"])
        == 0
    )
    written, _ = read_hdf5(out)
    samples, _ = read_hdf5(meshes)
    for index in (0, 7):
        sample = BoundaryDistance()(ready(samples[index]))
        sample.x = sample.x[:, 1:]
        (want,) = predict(load_model(model), [sample])
        torch.testing.assert_close(written[index].y, want, rtol=1e-5, atol=1e-6)
        assert written[index].x.shape[1] == 2  # the file's own inputs
    capsys.readouterr()
    # A file whose channels have no names cannot be read by name.
    unnamed = tmp_path / "unnamed.h5"
    write_hdf5(unnamed, samples)
    assert main(["predict", "--checkpoint", model, "--input", str(unnamed), "--output", str(tmp_path / "no.h5")]) == 2
    assert "the channels have no names" in capsys.readouterr().err
    assert not (tmp_path / "no.h5").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": ("distance",)}, "inputs.*'distance'; choose from"),
        ({"without": ("marks",)}, "without='marks' is no input channel.*did you mean 'mark'"),
        ({"inputs": ("normals", "normals")}, "more than once"),
        ({"inputs": ("boundary-marks", "local-spacing"), "task": "next-frame"}, "the task .*next-frame"),
        ({"inputs": ("normals",), "on_disk": True}, "on_disk=False"),
    ],
)
def test_mistakes(meshes, change, message):
    with pytest.raises(ValueError, match=message):
        load_splits(replace(DataChoice(dataset=str(meshes)), **change))


def test_a_channel_is_not_named_twice(meshes, tmp_path):
    samples, _ = read_hdf5(meshes)
    path = tmp_path / "marked.h5"
    write_hdf5(path, samples, names={"x": ["boundary", "force"], "y": ["u"]})
    with pytest.raises(ValueError, match="'boundary', of which there is one"):
        load_splits(DataChoice(dataset=str(path), inputs=("boundary-marks",)))
    splits = load_splits(DataChoice(dataset=str(path), inputs=("boundary-marks",), without=("boundary",)))
    assert splits.info["names"]["x"] == ["force", "boundary"]


def test_the_choices_are_those_that_there_are():
    assert set(get_args(Geometry)) == set(GEOMETRY)


def test_clouds_have_no_boundary(tmp_path):
    samples = [random_mesh(12, cells=False, in_channels=1, seed=seed) for seed in range(12)]
    for sample in samples:
        sample.y = sample.x
    path = tmp_path / "clouds.h5"
    write_hdf5(path, samples, names={"x": ["a"], "y": ["u"]})
    with pytest.raises(ValueError, match="train: BoundaryDistance needs cells"):
        load_splits(DataChoice(dataset=str(path), inputs=("boundary-distance",)))
