"""Trajectories and time queries from data to results, and what their checkpoints know."""

import json

import pytest
import torch

from pyg_neuralops.checkpoint import load_info, load_model
from pyg_neuralops.data import read_hdf5
from pyg_neuralops.datasets import DATASETS, NavierStokes
from pyg_neuralops.engine import predict, rollout, task_of
from pyg_neuralops.metrics import relative_l2
from pyg_neuralops.study import Comparison
from pyg_neuralops.study.comparison import compare
from pyg_neuralops.study.predict import predict_file

SETS = {
    "navier-stokes": ({"resolution": 8, "refine": 1, "dt": 0.5}, 10, 1, 10),
    "plasticity": ({"columns": 11, "rows": 4, "density_scale": 100.0}, 10, 4, 80),
}


def small(name, root, out):
    return Comparison(
        dataset=name,
        dataset_args={"num_samples": 12, **SETS[name][0]},
        root=str(root),
        workers=0,
        models=("graph-sage",),
        hidden_channels=8,
        num_layers=1,
        epochs=2,
        batch_size=16,
        accelerator="cpu",
        out=str(out),
    )


@pytest.mark.parametrize("name", SETS)
def test_a_set_with_time_is_trained_step_by_step_and_scored_whole(name, tmp_path):
    _, in_channels, out_channels, columns = SETS[name]
    root, out = tmp_path / "data", tmp_path / "out"
    (run,) = compare(small(name, root, out), progress=False)["runs"]
    assert (run["config"]["in_channels"], run["config"]["out_channels"]) == (in_channels, out_channels)
    assert len(run["test"]["per_sample"]) == len(run["metrics"]["relative_l2_integral"]["per_sample"])
    assert (out / "fields.png").stat().st_size > 1000
    checkpoint = out / "graph-sage" / "seed0" / "best.safetensors"
    task = task_of(load_info(checkpoint)["data"])
    raw = next((root / "raw").glob("*-test*.h5"))
    errors = predict_file(str(checkpoint), str(raw), str(tmp_path / "answers.h5"), accelerator="cpu")
    assert errors["test"]["per_sample"] == pytest.approx(run["test"]["per_sample"], rel=1e-4, abs=1e-6)
    assert json.loads((out / "results.json").read_text())["data"]["task"] == dict(DATASETS[name].task)
    assert task.items([read_hdf5(raw)[0][0]])[0].y.shape[1] == out_channels
    assert read_hdf5(tmp_path / "answers.h5")[0][0].y.shape[1] == columns


def test_a_trained_model_rolls_out(tmp_path):
    arguments, *_ = SETS["navier-stokes"]
    root = tmp_path / "data"
    compare(small("navier-stokes", root, tmp_path / "out"), progress=False)
    checkpoint = tmp_path / "out" / "graph-sage" / "seed0" / "best.safetensors"
    model = load_model(checkpoint)
    sample = NavierStokes(root, "test", num_samples=12, workers=0, **arguments)[0]
    with torch.no_grad():
        free = rollout(model, model.prepare(sample), 10)
    whole = predict(model, [sample], task_of(load_info(checkpoint)["data"]))[0]
    torch.testing.assert_close(free.frames, whole)
    torch.testing.assert_close(free.errors[0, 3:4], relative_l2(whole[:, 3:4], sample.y[:, 3:4]))
