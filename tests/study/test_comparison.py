"""Models x seeds, once each, with everything needed to believe the result."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pyg_neuralops.checkpoint import load_model, save_model
from pyg_neuralops.data import read_hdf5, write_hdf5
from pyg_neuralops.engine import OneCycle
from pyg_neuralops.models import build_model
from pyg_neuralops.study import Comparison, compare
from pyg_neuralops.study.provenance import read_json
from pyg_neuralops.study.sources import own_positions
from pyg_neuralops.study.table import table as table_of


def contents(folder) -> dict:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_results_table_and_figures(comparison, tmp_path):
    results = compare(comparison, progress=False)
    out = tmp_path / "out"
    assert read_json(out / "results.json") == json.loads(json.dumps(results))
    assert [(run["model"], run["seed"]) for run in results["runs"]] == [
        ("graph-sage", 0),
        ("graph-sage", 1),
        ("narrow", 0),
        ("narrow", 1),
    ]
    narrow = results["runs"][2]
    assert (narrow["class"], narrow["config"]["hidden_channels"], narrow["recipe"]["lr"]) == ("la2former", 8, 3e-3)
    for run in results["runs"]:
        per_sample = torch.tensor(run["test"]["per_sample"], dtype=torch.double)
        assert len(per_sample) == 4
        assert run["test"]["mean"] == pytest.approx(per_sample.mean().item(), rel=1e-5)
        assert run["epochs"] == 2
        assert run["parameters"] > 0
        assert run["peak_memory_bytes"] > 1e7
        assert run["environment"]["versions"]["torch"] == torch.__version__
    assert set(results["baselines"]) == {"mean", "1-nn", "ridge"}
    assert "not_applicable" in results["baselines"]["ridge"]
    assert results["data"]["sizes"] == {"train": 16, "val": 4, "test": 4}

    table = (out / "table.md").read_text().splitlines()
    rows = [line for line in table if line.startswith("|")][2:]
    assert len(rows) == 4
    errors = [float(row.split("|")[2].split("%")[0]) for row in rows]
    assert errors == sorted(errors)
    assert "versions of the code" not in (out / "table.md").read_text()
    mixed = json.loads(json.dumps(results))
    mixed["runs"][0]["environment"] |= {"git": {"hash": "other", "dirty": False}, "threads": 64}
    assert table_of(mixed).splitlines()[-2:] == [
        "Runs of 2 versions of the code.",
        "Runs on 2 kinds of machine or numbers of threads: seconds do not compare.",
    ]
    for name in ("error_vs_time.png", "fields.png"):
        assert (out / name).read_bytes()[:4] == b"\x89PNG"

    # Again: nothing is trained, nothing of a run changes.
    before = contents(out)
    again = compare(comparison, progress=False)
    assert again["runs"] == json.loads(json.dumps(results["runs"]))
    after = contents(out)
    assert all(after[path] == before[path] for path in before if path.parent.name.startswith("seed"))

    # Another comparison there is refused, and leaves everything as it was.
    narrow = dict(comparison.overrides["narrow"])
    for changes, message in (
        ({"epochs": 3}, "epochs=2 there, 3 here"),
        ({"overrides": {"narrow": narrow | {"lr": 1e-3}}}, "narrow/seed0 holds another run .*lr=0.003 there, 0.001"),
    ):
        with pytest.raises(ValueError, match=message):
            compare(replace(comparison, **changes), progress=False)
    assert contents(out) == after


def test_models_and_seeds_come_later(comparison, tmp_path, caplog):
    """A comparison grows run by run in any order; what was done is kept, and never taken for something else."""
    out = tmp_path / "out"
    compare(replace(comparison, models=("graph-sage",), overrides={}, seeds=1), progress=False)
    first = contents(out / "graph-sage")
    grown = compare(replace(comparison, seed=1, seeds=1), progress=False)
    assert [(run["model"], run["seed"]) for run in grown["runs"]] == [("graph-sage", 1), ("narrow", 1)]
    caplog.clear()
    with caplog.at_level("INFO"):
        whole = compare(comparison, progress=False)
    assert len(whole["runs"]) == 4
    # One run was missing, in the midst of those done; after it nothing is left to wait for.
    assert not [record for record in caplog.records if " left)" in record.getMessage()]
    kept = contents(out / "graph-sage")
    assert all(kept[path] == first[path] for path in first)
    # Not even after a table without it: the run knows its own settings.
    caplog.clear()
    compare(replace(comparison, models=("graph-sage",), overrides={}), progress=False)
    (said,) = [record.getMessage() for record in caplog.records if "not in the table" in record.getMessage()]
    assert str(out / "narrow" / "seed1") in said
    assert "graph-sage" not in said
    with pytest.raises(ValueError, match="holds another run"):
        compare(
            replace(comparison, overrides={"narrow": {"model": "la2former", "heads": 2, "patches": {"k": 4}}}),
            progress=False,
        )
    direct = compare(replace(comparison, out=str(tmp_path / "direct")), progress=False)
    assert [run["test"]["per_sample"] for run in direct["runs"]] == [run["test"]["per_sample"] for run in whole["runs"]]


def test_a_users_own_model_is_another_once_its_file_has_changed(comparison, tmp_path, monkeypatch):
    source = tmp_path / "mine.py"
    code = """
import torch
from torch_geometric.data import Data
class Mine(torch.nn.Module):
    def __init__(self, in_channels, out_channels, pos_dim, hidden_channels, num_layers):
        super().__init__()
        self.linear = torch.nn.Linear(in_channels, out_channels)
    def forward(self, data):
        return self.linear(data.x)
"""
    source.write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    one = replace(comparison, models=("mine:Mine",), overrides={}, seeds=1)
    compare(one, progress=False)
    compare(one, progress=False)
    source.write_text(code.replace("self.linear(data.x)", "2 * self.linear(data.x)"))
    more = replace(one, seeds=2)
    results = compare(more, progress=False)  # of this process, in which the old code goes on
    assert [run["seed"] for run in results["runs"]] == [0, 1]
    codes = [json.loads(Path(one.out, "mine_Mine", f"seed{seed}", "run.json").read_text())["code"] for seed in (0, 1)]
    assert codes[0] == codes[1]
    sys.modules.pop("mine")
    with pytest.raises(ValueError, match=r"holds another run \(code of mine:Mine="):
        compare(one, progress=False)


SPOILT = [b"{", b"[1]", b"3", b'{"test": 1}', b"\xff\xfe{", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"", b"{}"]


def test_what_is_damaged_costs_no_run(comparison, tmp_path, caplog):
    """A result is made again from the run beside it, what a run is from its other files; nothing is trained twice."""
    one = replace(comparison, models=("graph-sage",), overrides={}, seeds=1)
    errors = compare(one, progress=False)["runs"][0]["test"]["per_sample"]
    out = tmp_path / "out"
    run = out / "graph-sage/seed0"
    trained = (run / "last.ckpt").stat().st_mtime_ns
    good = (run / "result.json").read_bytes()
    for bad in [*SPOILT, good.replace(b'"epochs": 2', b'"epochs": 3'), good[:-30]]:
        (run / "result.json").write_bytes(bad)
        with pytest.raises(ValueError, match=re.escape(f"remove {run / 'result.json'} to have it made again")):
            compare(one, progress=False)
    (run / "result.json").unlink()
    assert compare(one, progress=False)["runs"][0]["test"]["per_sample"] == errors
    for path in (run / "run.json", out / "comparison.json"):
        for bad in SPOILT[:3]:
            path.write_bytes(bad)
            caplog.clear()
            assert compare(one, progress=False)["runs"][0]["test"]["per_sample"] == errors
            assert f"{path} is no JSON" in caplog.text or f"{path} has no checksum" in caplog.text
            assert read_json(path)
    assert (run / "last.ckpt").stat().st_mtime_ns == trained
    # Yet where there is no run, a file of that name is somebody else's.
    for folder, name in ((tmp_path / "other", "comparison.json"), (tmp_path / "third/graph-sage/seed0", "run.json")):
        folder.mkdir(parents=True)
        (folder / name).write_text("[1]")
    shutil.copy(out / "comparison.json", tmp_path / "third")
    for place in ("other", "third"):
        before = contents(tmp_path / place)
        with pytest.raises(ValueError, match="has no checksum"):
            compare(replace(one, out=str(tmp_path / place)), progress=False)
        assert contents(tmp_path / place) == before


def test_results_of_other_runs_are_refused(comparison, tmp_path):
    two = replace(comparison, models=("graph-sage",), overrides={})
    compare(two, progress=False)
    folders = [tmp_path / f"out/graph-sage/seed{seed}" for seed in (0, 1)]
    results = [(folder / "result.json").read_bytes() for folder in folders]
    for folder, content in zip(folders, results[::-1], strict=True):
        (folder / "result.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"seed0/result.json belongs to another run.*; remove .*seed0/result.json to"):
        compare(two, progress=False)
    for folder, content in zip(folders, results, strict=True):
        (folder / "result.json").write_bytes(content)
    folders[0].rename(tmp_path / "aside")
    folders[1].rename(folders[0])
    (tmp_path / "aside").rename(folders[1])
    with pytest.raises(ValueError, match=r"seed0 holds another run \(seed=1 there, 0 here\)"):
        compare(two, progress=False)


def test_a_class_that_a_folder_names_is_not_imported(comparison, tmp_path, monkeypatch):
    one = replace(comparison, models=("graph-sage",), overrides={}, seeds=1)
    compare(one, progress=False)
    (tmp_path / "planted.py").write_text(
        "from pathlib import Path\nfrom pyg_neuralops.models.graph_networks import GraphSAGE\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\nclass Model(GraphSAGE):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    sizes = {"in_channels": 1, "out_channels": 1, "pos_dim": 2, "hidden_channels": 16, "num_layers": 1}
    save_model(tmp_path / "out/graph-sage/seed0/best.safetensors", build_model("planted:Model", **sizes))
    (tmp_path / "ran").unlink()
    monkeypatch.delitem(sys.modules, "planted")
    with pytest.raises(
        ValueError, match=r"best\.safetensors holds a model 'planted:Model' that is not of this library"
    ):
        compare(one, progress=False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("label", ["..", ".", "", "..."])
def test_a_label_stays_in_the_folder(comparison, tmp_path, label):
    with pytest.raises(ValueError, match=re.escape(f"a model is called {label!r}; a name with a letter")):
        compare(replace(comparison, models=(label,), overrides={label: {"model": "graph-sage"}}), progress=False)
    assert not (tmp_path / "out").exists()


def test_training_never_sees_the_test_split(comparison, mesh_file, tmp_path):
    one = replace(comparison, models=("graph-sage",), overrides={}, seeds=1)
    compare(one, progress=False)
    samples, _ = read_hdf5(mesh_file)
    for sample in samples:
        if sample.split == "test":
            sample.y = sample.y * 3 - 1
    write_hdf5(mesh_file, samples)
    compare(replace(one, out=str(tmp_path / "other")), progress=False)
    weights = [load_file(tmp_path / name / "graph-sage/seed0/best.safetensors") for name in ("out", "other")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    with pytest.raises(ValueError, match="on other values"):
        compare(one, progress=False)


def test_equal_seconds_and_the_papers_protocol(comparison):
    timed = replace(comparison, epochs=None, seconds=0.4, protocol="paper", seeds=1)
    for run in compare(timed, progress=False)["runs"]:
        assert 0.4 <= run["train_seconds"] < 2.0
        assert run["best_val"] is None
        assert run["best_epoch"] == run["epochs"]


def test_foreign_folder_is_left_alone(comparison, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="is not empty and holds no comparison"):
        compare(comparison, progress=False)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_settings_of_one_model_reach_its_run(comparison, tmp_path):
    """Raw positions and a slow start for one, the defaults for the other."""
    narrow = dict(comparison.overrides["narrow"], normalize_pos="none", div=1e4, pct_start=0.9)
    results = compare(replace(comparison, overrides={"narrow": narrow}, seeds=1), progress=False)
    for run, raw in zip(results["runs"], (False, True), strict=True):
        pos = load_model(tmp_path / "out" / run["model"] / "seed0" / "best.safetensors").pos
        assert (pos.mean.abs().max() == 0 and (pos.std == 1).all()) == raw
        assert run["recipe"]["normalize_pos"] == ("none" if raw else "channel")  # what "auto" was
        cycle = OneCycle(3e-3, 0.9, 1e4) if raw else OneCycle(8e-3)
        assert run["history"][0]["lr"] == pytest.approx(cycle(3 / 4 / 2)[0])  # the last of four batches


def test_airfoils_are_seen_by_quantiles_unless_somebody_says():
    assert own_positions("airfoil") == "quantile"
    assert own_positions("darcy") == own_positions("mine.h5") == "channel"
    assert Comparison(dataset="airfoil", epochs=1).modes(own_positions("airfoil"))["pos"] == "quantile"
    assert Comparison(dataset="airfoil", epochs=1, normalize_pos="none").modes("quantile")["pos"] == "none"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ("la2formr",)}, "unknown model 'la2formr'"),
        ({"models": ("graph-sage", "graph-sage"), "overrides": {}}, "more than once"),
        ({"models": ("a b", "A,b"), "overrides": {}}, "'a b' and 'A,b' would share the folder 'a_b'"),
        ({"models": ()}, "models is empty"),
        ({"seeds": 0}, "seeds=0; it must be at least 1"),
        ({"seconds": 3.0}, "give exactly one"),
        ({"normalize_x": "all"}, "normalize_x='all'; choose from"),
        ({"normalize_pos": "all"}, "normalize_pos='all'; choose from"),
        ({"overrides": {"gatv2": {}}}, "not among the models"),
        ({"overrides": {"graph-sage": {"epochs": 9}}}, "change the budget"),
    ],
)
def test_mistakes_cost_nothing(comparison, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        compare(replace(comparison, **({"overrides": {}} | changes)), progress=False)
    assert not (tmp_path / "out").exists()


def test_recipe_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        'dataset = "darcy"\nmodels = ["la2former", "alone"]\nseconds = 5\n'
        '[dataset_args]\nresolution = 29\n[overrides.alone]\nmodel = "la2former"\nlocal = false\n'
    )
    found = Comparison.from_toml(path, seeds=3)
    assert (found.models, found.seeds, found.seconds) == (("la2former", "alone"), 3, 5)
    assert found.model("alone") == ("la2former", {"local": False})
    assert found.dataset_args == {"resolution": 29}
    path.write_text('dataset = "darcy"\nepoch = 3\n')
    with pytest.raises(ValueError, match=r"unknown keys \['epoch'\]"):
        Comparison.from_toml(path)
