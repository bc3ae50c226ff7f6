"""Every example runs as a user would run it, at a small size."""

import importlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import torch

from pyg_neuralops.data import read_hdf5
from pyg_neuralops.transforms import KNNPatches

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


def test_quick_start(tmp_path):
    error = example("quick_start").main(tmp_path / "data", tmp_path / "run", num_samples=24, epochs=1)
    assert 0 < error < 2
    assert (tmp_path / "run" / "fields.png").stat().st_size > 1000


def test_attention_in_your_own_gnn():
    module = example("attention_in_your_own_gnn")
    assert module.main(steps=30) < 0.8 * module.main(steps=1)


def test_bring_your_own_data(tmp_path):
    rng = np.random.default_rng(0)
    chi = (rng.random((6, 8, 8)) > 0.2).astype(np.uint8)
    chi[4] = chi[1]  # a duplicate
    u = rng.random((6, 8, 8, 2)).astype(np.float32)
    np.savez(tmp_path / "raster.npz", chi=chi, u=u)
    assert example("bring_your_own_data").main(tmp_path / "raster.npz", tmp_path / "out.h5") == 5
    samples, info = read_hdf5(tmp_path / "out.h5")
    assert sorted(s.num_nodes for s in samples) == sorted(int(chi[i].sum()) for i in (0, 1, 2, 3, 5))
    assert info["names"]["y"] == ["u_x", "u_y"]


def test_patches_that_follow_the_wind(tmp_path):
    data = example("patches_that_follow_the_wind").main(tmp_path / "patches.png", num_points=400, k=12)
    source, target = data.patch_index
    upwind = ((data.pos[source] - data.pos[target]) * data.wind[target]).sum(1) < 0
    assert upwind.float().mean() > 0.6
    assert (tmp_path / "patches.png").stat().st_size > 1000


def test_free_rollout(tmp_path):
    small = {"num_samples": 12, "epochs": 1, "resolution": 8, "refine": 1, "dt": 0.5, "workers": 0}
    free = example("free_rollout").main(tmp_path / "data", tmp_path / "run", **small)
    assert free.frames.shape == (64, 10)
    assert free.errors.shape == (1, 10)
    assert (tmp_path / "run" / "rollout.png").stat().st_size > 1000


def test_all_your_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    module = importlib.import_module("all_your_own")
    results = module.main(str(tmp_path / "bars"), "run", num_samples=12, epochs=2)
    own, ours = results["runs"]
    assert (own["class"], ours["class"]) == ("all_your_own:PointNet", "la2former")
    assert results["data"]["task"] == {"name": "all_your_own:Smooth", "scale": 0.01}
    for run in results["runs"]:
        assert len(run["metrics"]["all_your_own:hottest_point"]["per_sample"]) == 12
    identity = json.loads((tmp_path / "run/la2former/seed0/run.json").read_text())
    assert {name.partition(":")[2] for name in identity["code"]} == {"Bars", "Smooth", "Towards"}
    # Patches of the user's metric look to the right; Euclidean ones look both ways alike.
    data = KNNPatches(8, metric=module.Towards())(module.Bars.sample(torch.Generator().manual_seed(0)))
    source, target = data.patch_index
    ahead = (data.pos[source] - data.pos[target])[:, 0]
    assert (ahead > 0).sum() > 2 * (ahead < 0).sum()
    assert "all_your_own:hottest_point" in (tmp_path / "run/table.md").read_text()


def test_weights_on_a_graded_mesh(tmp_path):
    data = example("weights_on_a_graded_mesh").main(tmp_path / "graded.png", num_points=300)
    assert data.weight.max() > 4 * data.weight.min()
    sizes = torch.bincount(data.patch_index[1])
    assert sizes.min() >= 8
    assert sizes[data.weight.argmin()] > sizes[data.weight.argmax()]
    assert (tmp_path / "graded.png").stat().st_size > 1000
