"""Data larger than the memory: samples that stay in their files give the results of those in memory."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest
import torch

from pyg_neuralops.cli import main
from pyg_neuralops.data import MeshData, read_hdf5, write_hdf5
from pyg_neuralops.models import build_model
from pyg_neuralops.study import Comparison, DataChoice, Recipe, compare, load_splits
from pyg_neuralops.study.on_disk import CheckedFile
from pyg_neuralops.study.prepared_samples import PreparedSamples
from pyg_neuralops.study.run import prepare, train_run

MODELS = {
    "la2former": {"hidden_channels": 8, "num_layers": 1, "heads": 2, "patches": {"k": 4}},
    "graph-sage": {"hidden_channels": 8, "num_layers": 1},
}
RECIPE = Recipe(epochs=2, batch_size=4, accelerator="cpu")


def run(choice: DataChoice, out: Path, name: str = "la2former", recipe: Recipe = RECIPE) -> dict:
    splits = load_splits(choice)
    model = build_model(name, **splits.shape, **MODELS[name])
    return train_run(splits, prepare(model, splits), name, MODELS[name], recipe, 0, out, progress=False)


def outcome(result: dict) -> list:
    """What a run came to, without seconds."""
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in result["history"]]
    return [rows, result["test"], result["metrics"], result["best_val"]]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("protocol", ["standard", "paper"])
def test_a_run_is_the_same_on_disk_and_in_memory(name, protocol, mesh_file, tmp_path):
    choices = [DataChoice(dataset=str(mesh_file), protocol=protocol, on_disk=on_disk) for on_disk in (False, True)]
    memory, disk = (run(choice, tmp_path / str(choice.on_disk), name) for choice in choices)
    assert outcome(memory) == outcome(disk)
    assert memory["data"]["digest"] != disk["data"]["digest"]


@pytest.mark.parametrize("task", [{"name": "next-frame"}, {"name": "time-query", "times": 2}])
def test_a_task_in_time_is_the_same_on_disk(task, tmp_path):
    generator = torch.Generator().manual_seed(0)
    samples = [
        MeshData(pos=torch.rand(12, 2, generator=generator), x=torch.rand(12, 3, generator=generator), y=y)
        for y in torch.rand(12, 12, 4, generator=generator)
    ]
    path = str(write_hdf5(tmp_path / "frames.h5", samples))
    name, arguments = task["name"], {key: value for key, value in task.items() if key != "name"}
    choices = [DataChoice(dataset=path, task=name, task_args=arguments, on_disk=on) for on in (False, True)]
    memory, disk = (run(choice, tmp_path / str(choice.on_disk)) for choice in choices)
    assert outcome(memory) == outcome(disk)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
@pytest.mark.parametrize("max_nodes", [None, 50])
def test_loader_workers_change_nothing(max_nodes, mesh_file, tmp_path):
    recipe = Recipe(epochs=2, batch_size=4, max_nodes=max_nodes, accelerator="cpu")
    choices = [DataChoice(dataset=str(mesh_file), on_disk=True, loader_workers=workers) for workers in (0, 2)]
    none, two = (run(choice, tmp_path / str(choice.loader_workers), recipe=recipe) for choice in choices)
    assert outcome(none) == outcome(two)
