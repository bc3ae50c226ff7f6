"""Recipe files can be run, model by model, and hold the published settings."""

from inspect import signature
from pathlib import Path

import pytest
import torch

from pyg_neuralops.data.inputs import TIME_CHANNELS
from pyg_neuralops.datasets import DATASETS as SETS
from pyg_neuralops.engine import OneCycle, make_task
from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.study import Comparison
from pyg_neuralops.testing import random_grid, random_mesh

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# Input and target channels, and whether nodes form a grid: material, shape only, 10 frames, die and time's features.
DATASETS = {
    "airfoil": (0, 1, True),
    "darcy": (1, 1, True),
    "elasticity": (0, 1, False),
    "navier-stokes": (10, 1, True),
    "pipe": (0, 1, True),
    "plasticity": (10, 4, True),
}
RECIPES = {name: Comparison.from_toml(BENCHMARKS / "recipes" / f"{name}.toml") for name in DATASETS}
SMALL = Comparison.from_toml(BENCHMARKS / "studies" / "two-minutes.toml")
RUNS = [(name, label) for name, recipe in RECIPES.items() for label in recipe.models]
ON_GRIDS = ("lrsa, convolutions", "transolver, convolutions", "fno")


def shape(dataset):
    return dict(zip(("in_channels", "out_channels"), DATASETS[dataset][:2], strict=True))


def takes_a_step(comparison, label, dataset):
    """One step of training on a few nodes."""
    timed = TIME_CHANNELS if dataset == "plasticity" else 0
    channels = {"in_channels": DATASETS[dataset][0] - timed, "out_channels": DATASETS[dataset][1]}
    data = random_grid((5, 6), **channels) if DATASETS[dataset][2] else random_mesh(30, **channels)
    if timed:
        data.time = torch.tensor([0.5])
    if data.x.shape[1] == 0:
        del data.x
    task, recipe = make_task(comparison.task or "steady"), comparison.recipe(label)
    name, kwargs = comparison.model(label)
    torch.manual_seed(0)
    inner = build_model(name, **shape(dataset), **kwargs)
    model = normalized(inner, [data], **recipe.modes())
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    loss = task.loss(task.predict(model, data), data).mean()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip or torch.inf)
    optimizer.step()
    assert loss.isfinite()
    assert 0 < norm < torch.inf


def test_there_is_one_recipe_a_benchmark():
    assert sorted(file.stem for file in (BENCHMARKS / "recipes").iterdir()) == sorted(DATASETS)
    for name, recipe in RECIPES.items():
        assert recipe.dataset == name
        assert set(recipe.dataset_args) <= {"num_samples", *signature(SETS[name]).parameters}
        last = ("transformer",) if not DATASETS[name][2] else ("lrsa, convolutions", "fno")
        assert {"la2former", "la2former-lrsa", "la2former-global", "lrsa", "transolver", *last} <= set(recipe.models)


@pytest.mark.parametrize(("dataset", "label"), RUNS)
def test_recipe_takes_a_training_step(dataset, label):
    takes_a_step(RECIPES[dataset], label, dataset)


@pytest.mark.parametrize("dataset", DATASETS)
def test_small_study_runs_on_every_benchmark(dataset):
    grid = DATASETS[dataset][2]
    labels = [label for label in SMALL.models if grid or label not in ON_GRIDS] + ["transformer"] * (not grid)
    left_out = {"transformer" if grid else "fno", "upwind-gnn"}  # none of them has a wind
    assert {SMALL.model(label)[0] for label in labels} == set(MODELS) - left_out
    for label in labels:
        takes_a_step(SMALL, label, dataset)


# Batch, clip, and the norms of x, y and positions; then channels, slices, convolutions and ratio: the scripts'.
TRANSOLVER = {
    "darcy": (4, 0.1, "scalar", "scalar", "channel", 128, 64, True, 1),
    "elasticity": (1, 0.1, "none", "scalar", "none", 128, 64, False, 1),
    "airfoil": (4, 0.1, "none", "none", "none", 128, 64, True, 1),
    "pipe": (8, 0.1, "none", "scalar", "channel", 128, 64, True, 2),
    "navier-stokes": (20, 1000, "none", "none", "channel", 256, 32, True, 1),
    "plasticity": (8, 0.1, "channel", "none", "none", 128, 64, True, 1),
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_transolver_has_its_scripts_settings(dataset):
    recipe = RECIPES[dataset].recipe("transolver")
    name, model = RECIPES[dataset].model("transolver")
    norms = (recipe.normalize_x, recipe.normalize_y, recipe.normalize_pos)
    sizes = (model["hidden_channels"], model["num_slices"], model["structured"], model["ratio"])
    assert (recipe.batch_size, recipe.clip, *norms, *sizes) == TRANSOLVER[dataset]
    assert (name, model["num_layers"], model["heads"]) == ("transolver", 8, 8)
    assert (recipe.epochs, recipe.lr, recipe.weight_decay) == (500, 1e-3, 1e-5)
    assert (recipe.pct_start, recipe.div, recipe.ema) == (0.3, 25, None)
    on_reference = dataset in ("darcy", "navier-stokes")
    assert model.get("coords", True) == ("reference-grid" if on_reference else True)
    assert model.get("time", "features") == ("embedding" if dataset == "plasticity" else "features")
    assert RECIPES[dataset].protocol == "paper"
    assert RECIPES[dataset].task == ("steady-gradient" if dataset == "darcy" else None)


# Channels, blocks, hidden layers of the MLPs and rising part of the rate: the settings file of 2025-01-04.
LNO = {
    "darcy": (128, 4, 2, 0.2),
    "elasticity": (192, 4, 3, 0.2),
    "airfoil": (128, 8, 2, 0.2),
    "pipe": (128, 8, 2, 0.2),
    "navier-stokes": (256, 8, 2, 0.2),
    "plasticity": (128, 4, 2, 0.2),
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_lno_has_its_files_settings(dataset):
    recipe = RECIPES[dataset].recipe("lno")
    _, model = RECIPES[dataset].model("lno")
    sizes = (model["hidden_channels"], model["num_layers"], model["mlp_layers"], recipe.pct_start)
    assert sizes == LNO[dataset]
    assert (model["heads"], model["num_latents"], recipe.batch_size) == (8, 256, 4)
    assert (recipe.clip, recipe.weight_decay) == (1000, 5e-5)


FLARE = {"darcy": (16, 256), "elasticity": (8, 64), "airfoil": (8, 256), "pipe": (8, 128)}


@pytest.mark.parametrize("dataset", DATASETS)
def test_flare_has_its_scripts_settings(dataset):
    recipe = RECIPES[dataset].recipe("flare")
    _, model = RECIPES[dataset].model("flare")
    assert (model["heads"], model["num_latents"]) == FLARE.get(dataset, (8, 256))
    assert (model["hidden_channels"], model["num_layers"]) == (64, 8)
    assert (recipe.clip, recipe.pct_start, recipe.div, recipe.ema) == (1, 0.1, 1e4, 0.999)
    assert OneCycle(recipe.lr, recipe.pct_start, recipe.div)(0)[0] == pytest.approx(1e-7)


def test_published_counts_of_parameters():
    """Transolver's for Elasticity; LRSA's 8 blocks, 3,099,392, and their convolutions, 9 C² + C more a block."""

    def count(dataset, label, part=""):
        name, kwargs = RECIPES[dataset].model(label)
        model = build_model(name, **shape(dataset), **kwargs)
        return sum(p.numel() for key, p in model.named_parameters() if key.startswith(part))

    assert count("elasticity", "transolver") == 713_665
    assert count("elasticity", "flare") == 592_641
    assert count("elasticity", "lrsa", "blocks") == 3_099_392
    convolutions = count("airfoil", "lrsa, convolutions", "blocks") - count("airfoil", "lrsa", "blocks")
    # A LayerNorm more and a bias of 2 C less.
    assert convolutions == 8 * (9 * 128**2 + 128 + 2 * 128 - 2 * 128)
