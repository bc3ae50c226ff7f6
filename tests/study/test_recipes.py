"""Every recipe file is one that can be run: its models are built and take a step on data of the set's shape."""

from inspect import signature
from pathlib import Path

import pytest
import torch

from pyg_neuralops.datasets import DATASETS as SETS
from pyg_neuralops.engine import make_task
from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.study import Comparison
from pyg_neuralops.testing import random_grid, random_mesh

RECIPES = Path(__file__).parents[2] / "benchmarks" / "recipes"
# Input and target channels, and whether nodes form a grid: material, shape only, 10 frames, die and time's embedding.
DATASETS = {
    "airfoil": (0, 1, True),
    "darcy": (1, 1, True),
    "elasticity": (0, 1, False),
    "navier-stokes": (10, 1, True),
    "pipe": (0, 1, True),
    "plasticity": (10, 4, True),
}
FILES = sorted(RECIPES.glob("*/*.toml"))


def test_every_standard_benchmark_has_recipes():
    assert sorted({file.parent.name for file in FILES}) == sorted(DATASETS)
    for name, (*_, grid) in DATASETS.items():
        found = {file.stem for file in FILES if file.parent.name == name}
        assert {"budget", "la2former", "la2former-lrsa", "la2former-global", "lrsa", "transolver"} <= found
        budget = Comparison.from_toml(RECIPES / name / "budget.toml")
        assert set(MODELS) - set(budget.models) == {"transformer" if grid else "fno"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_recipe_takes_a_training_step(file):
    comparison = Comparison.from_toml(file)
    assert comparison.dataset == file.parent.name
    assert file.stem == "budget" or comparison.models == (file.stem,)
    in_channels, out_channels, grid = DATASETS[comparison.dataset]
    shape = {"in_channels": in_channels, "out_channels": out_channels}
    data = random_grid((5, 6), **shape) if grid else random_mesh(30, **shape)
    if in_channels == 0:
        del data.x
    task = make_task(comparison.task or "steady")
    assert set(comparison.dataset_args) <= {"num_samples", *signature(SETS[comparison.dataset]).parameters}
    for label in comparison.models:
        torch.manual_seed(0)
        name, kwargs = comparison.model(label)
        recipe = comparison.recipe(label)
        model = normalized(build_model(name, **shape, **kwargs), [data], x=recipe.normalize_x, y=recipe.normalize_y)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        loss = task.loss(task.predict(model, data), data)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip or torch.inf)
        optimizer.step()
        assert loss.isfinite()
        assert 0 < norm < torch.inf
