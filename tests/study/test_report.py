"""Comparisons whose targets are numbers of samples, zero somewhere, of very different sizes, or scored by a user."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from pyg_neuralops.cli import main
from pyg_neuralops.data import write_hdf5
from pyg_neuralops.study import Comparison, compare
from pyg_neuralops.study.provenance import read_json
from pyg_neuralops.testing import random_mesh

OWN = """
import torch

def largest(prediction, target, batch, weight, num_samples):
    error = (prediction - target).abs().amax(1)
    return torch.stack([error[batch == b].max() for b in range(num_samples)])

def double(prediction, target, batch, weight, num_samples):
    return 2 * largest(prediction, target, batch, weight, num_samples)

double_again = double
"""


def write(folder: Path, target, names: list[str]) -> Path:
    """24 meshes, 16 train, 4 val, 4 test, with ``target(sample, number)``."""
    samples = [random_mesh(20 + seed % 3, in_channels=1, seed=seed) for seed in range(24)]
    splits = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    for index, sample in enumerate(samples):
        sample.split = splits[index]
        sample.y = 2 + sample.x * sample.pos[:, :1] + (3 * sample.pos[:, 1:]).sin()
        sample.y = target(sample, index)
    write_hdf5(folder / "meshes.h5", samples, names={"y": names})
    return folder / "meshes.h5"


def comparison(file: Path, **changes) -> Comparison:
    settings = {"models": ("graph-sage", "gatv2"), "epochs": 2, "batch_size": 4, "hidden_channels": 8, "num_layers": 1}
    settings |= {"accelerator": "cpu", "out": str(file.parent / "out"), "dataset": str(file), **changes}
    return Comparison(**settings)


def test_a_budget_in_steps_is_said(tmp_path):
    file = write(tmp_path, lambda sample, index: sample.y, ["u"])
    results = compare(comparison(file, epochs=None, steps=5, models=("graph-sage",)), progress=False)
    assert sum(row["batches"] for row in results["runs"][0]["history"]) == 5
    assert "5 steps each" in (tmp_path / "out" / "table.md").read_text()


def check_figures(out: Path) -> None:
    for name in ("error_vs_time.png", "fields.png"):
        assert (out / name).read_bytes()[:4] == b"\x89PNG"


def test_channels_of_other_sizes_and_samples_without_error(tmp_path):
    """u of about 1 beside p of about 1e5; number 17 (val) and 21 (test) are zero everywhere."""

    def target(sample, index):
        return torch.cat([sample.y, 1e5 * sample.y.square()], 1) * (index not in (17, 21))

    file = write(tmp_path, target, ["u", "p"])
    results = compare(comparison(file, metrics=("per-channel", "r2")), progress=False)
    out = tmp_path / "out"
    json.loads((out / "results.json").read_text(), parse_constant=pytest.fail)
    whole = read_json(out / "results.json")
    assert whole == json.loads(json.dumps(results))
    for found in [*whole["runs"], *(whole["baselines"][name] for name in ("mean", "1-nn"))]:
        test = found["test"]
        assert test["metric"] == "relative_l2"
        assert test["undefined"] == {"count": 1, "indices": [1]}
        assert test["per_sample"][1] is None
        assert test["mean"] == pytest.approx(sum(v for v in test["per_sample"] if v) / 3, rel=1e-6)
        # p alone decides the joint error, so u's can only be read by itself.
        assert found["metrics"]["relative_l2/p"]["mean"] == pytest.approx(test["mean"], rel=1e-4)
        assert found["metrics"]["mean_absolute/u"]["mean"] < 1e-3 * found["metrics"]["mean_absolute"]["mean"]
        names = {"relative_l2/u", "relative_max", "mean_absolute", "r2"}
        assert names <= set(found["metrics"])
    text = (out / "table.md").read_text()
    assert "Of 4 test samples 1 (number 1) have no relative_l2" in text
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert {row["model"] for row in rows} == {"graph-sage", "gatv2", "mean", "1-nn"}
    assert list(rows[0])[:5] == ["model", "relative_l2", "relative_l2 left out", "median", "worst channel"]
    assert {row["relative_l2 left out"] for row in rows} == {"1"}
    check_figures(out)


def test_all_validation_targets_zero_is_said(tmp_path):
    file = write(tmp_path, lambda sample, index: sample.y * (not 16 <= index < 20), ["u"])
    with pytest.raises(ValueError, match="none of the 4 validation samples has an error"):
        compare(comparison(file), progress=False)


def test_numbers_of_whole_samples_are_compared(tmp_path, capsys, monkeypatch):
    file = write(tmp_path, lambda sample, index: sample.y.mean(0, keepdim=True).square(), ["drag"])
    results = compare(
        comparison(file, task="graph-value", metrics=("mean_absolute", "relative_l2", "r2")), progress=False
    )
    for found in [*results["runs"], *(results["baselines"][name] for name in ("mean", "1-nn"))]:
        assert found["test"]["metric"] == "mean_absolute"
        assert found["metrics"]["r2"]["mean"] < 1
    assert "mean_absolute" in (tmp_path / "out/table.md").read_text()
    check_figures(tmp_path / "out")
    # A single run of the same samples stands in the same table.
    monkeypatch.chdir(tmp_path)
    words = ["train", "--dataset", str(file), "--task", "graph-value", "--model", "gatv2", "--epochs", "1"]
    assert main([*words, "--accelerator", "cpu", "--hidden-channels", "8", "--num-layers", "1", "--out", "one"]) == 0
    capsys.readouterr()
    assert main(["table", "out", "one", "--format", "latex", "--metrics", "relative_l2"]) == 0
    said = capsys.readouterr().out
    assert said.count(r"\\") == 6  # head, two models and one, two baselines
    assert "gatv2 (one)" in said
    assert main(["table", "out", "--format", "csv", "--out", "made/table.csv"]) == 0
    assert (tmp_path / "made/table.csv").read_bytes() == (tmp_path / "out/table.csv").read_bytes()
    capsys.readouterr()
    assert main(["table", "out", "--metrics", "rmse"]) == 2
    assert "unknown metric 'rmse'; choose from" in capsys.readouterr().err


def test_a_single_run_is_scored_by_a_users_own_metric(tmp_path, monkeypatch, capsys):
    """Number 21 is zero everywhere: what the joint error says of three samples, the user's says of four."""
    (tmp_path / "lone_metric.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, lambda sample, index: sample.y * (index != 21), ["u"])
    words = ["train", "--dataset", str(file), "--model", "gatv2", "--epochs", "1", "--accelerator", "cpu"]
    words += ["--hidden-channels", "8", "--num-layers", "1", "--out", "one"]
    assert main([*words, "--metrics", "rmse"]) == 2
    assert "unknown metric 'rmse'; choose from ['relative_l2', " in capsys.readouterr().err
    assert main([*words, "--metrics", "lone_metric:largest", "lone_metric:double"]) == 0
    assert "% (1 of 4 samples have none: number 1) (median" in capsys.readouterr().out
    found = read_json(tmp_path / "one/result.json")
    assert set(found["own_metrics"]) == {"lone_metric:largest", "lone_metric:double"}
    largest, double = (found["metrics"][f"lone_metric:{name}"]["per_sample"] for name in ("largest", "double"))
    assert double == pytest.approx([2 * value for value in largest], rel=1e-6)
    assert found["metrics"]["relative_max"]["per_sample"][1] is None
    assert main(["table", "one", "--metrics", "lone_metric:largest"]) == 0
    assert f"{sum(largest) / 4:.4g}" in capsys.readouterr().out


def test_a_users_own_metric_is_scored_without_training_again(tmp_path, monkeypatch):
    (tmp_path / "own_metric.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = write(tmp_path, lambda sample, index: sample.y, ["u"])
    before = compare(comparison(file), progress=False)
    own = "own_metric:largest"
    asked = comparison(file, metrics=("relative_l2", own, "own_metric:double"))
    after = compare(asked, progress=False)
    for old, new in zip(before["runs"], after["runs"], strict=True):
        assert new["history"] == old["history"]
        assert new["test"] == old["test"]
        assert new["metrics"]["own_metric:double"]["mean"] == pytest.approx(2 * new["metrics"][own]["mean"], rel=1e-6)
    assert own in after["baselines"]["mean"]["metrics"]
    assert own in (tmp_path / "out/table.md").read_text()
    assert compare(asked, progress=False)["runs"] == json.loads(json.dumps(after["runs"]))
    more = compare(comparison(file, metrics=("relative_l2", "own_metric:double_again")), progress=False)
    for first, old, new in zip(before["runs"], after["runs"], more["runs"], strict=True):
        assert set(new["own_metrics"]) == {own, "own_metric:double", "own_metric:double_again"}
        assert new["metrics"] == {**old["metrics"], "own_metric:double_again": old["metrics"]["own_metric:double"]}
        assert new["scored_with"]["versions"] == first["environment"]["versions"]
        changed = {"metrics", "own_metrics", "scored_with"}  # what is told of the training stays to the last digit
        assert {key: new[key] for key in new if key not in changed} == {
            key: first[key] for key in first if key not in changed
        }
    with pytest.raises(ValueError, match=r"unknown metric 'rmse'; choose from \['relative_l2', "):
        compare(comparison(file, metrics=("rmse",), out=str(tmp_path / "other")), progress=False)
    assert not (tmp_path / "other").exists()
