"""Small sets of meshes on disk for the tests of studies and of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pyg_neuralops.data import MeshData, write_hdf5
from pyg_neuralops.study import Comparison
from pyg_neuralops.testing import random_mesh


def small_mesh(seed: int, nodes: int = 20) -> MeshData:
    """A random mesh whose target is a function of input and position."""
    data = random_mesh(nodes + seed % 3, in_channels=1, seed=seed)
    data.y = 2 + data.x * data.pos[:, :1] + (3 * data.pos[:, 1:]).sin()
    return data


@pytest.fixture
def mesh_file(tmp_path: Path) -> Path:
    """24 meshes, 16 train, 4 val, 4 test."""
    names = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    samples = [small_mesh(seed) for seed in range(24)]
    for sample, name in zip(samples, names, strict=True):
        sample.split = name
    path = tmp_path / "meshes.h5"
    write_hdf5(path, samples, names={"x": ["force"], "y": ["answer"]}, units={"y": ["m"]})
    return path


@pytest.fixture
def comparison(mesh_file, tmp_path) -> Comparison:
    """Two models, one under another name with settings of its own, and two seeds."""
    return Comparison(
        dataset=str(mesh_file),
        models=("graph-sage", "narrow"),
        overrides={"narrow": {"model": "la2former", "hidden_channels": 8, "heads": 2, "patches": {"k": 4}, "lr": 3e-3}},
        seeds=2,
        epochs=2,
        batch_size=4,
        hidden_channels=16,
        num_layers=1,
        accelerator="cpu",
        out=str(tmp_path / "out"),
    )


@pytest.fixture
def grid_samples() -> list[MeshData]:
    """30 samples on the same 12 nodes; y is linear in x with a constant part."""
    generator = torch.Generator().manual_seed(0)
    pos = torch.rand(12, 2, generator=generator)
    matrix, offset = torch.randn(12, 12, generator=generator), torch.randn(12, 1, generator=generator)
    fields = [torch.randn(12, 1, generator=generator) for _ in range(30)]
    return [MeshData(x=x, pos=pos, y=matrix @ x + offset) for x in fields]
