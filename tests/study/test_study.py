"""A study from its file to its page: parts, bins, other samples, and what is repeated."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_neuralops.checkpoint import load_model
from pyg_neuralops.cli.main import main
from pyg_neuralops.data import mesh_loader, read_hdf5, write_hdf5
from pyg_neuralops.engine import evaluate
from pyg_neuralops.study import DataChoice, compare
from pyg_neuralops.study import transfer as transfer_module
from pyg_neuralops.study.bins import bin_table, constants, in_bins
from pyg_neuralops.study.data import load_split
from pyg_neuralops.study.page import write_page
from pyg_neuralops.study.plan import Study
from pyg_neuralops.study.provenance import read_json
from pyg_neuralops.study.study import run_study
from pyg_neuralops.study.transfer import transfer, transfer_table
from pyg_neuralops.testing import random_mesh

STUDY = """
question = "Which is <better>?"
by = "strength"
dataset = "FILE"
models = ["la2former", "graph-sage"]
epochs = 1
batch_size = 4
hidden_channels = 8
num_layers = 2
accelerator = "cpu"
out = "OUT"
[overrides.la2former]
heads = 2
fusion = "gate"
sweep = {"patches.k" = [4, 6]}
[parts.one]
[parts.two]
seed = 1
"""


@pytest.fixture
def strong_file(tmp_path) -> Path:
    """Meshes with a second input that is constant in each sample, growing with its number."""
    samples = []
    for seed in range(24):
        data = random_mesh(20 + seed % 3, in_channels=1, seed=seed)
        data.x = torch.cat([data.x, torch.full_like(data.x, seed / 10)], 1)
        data.y = data.x[:, :1] * data.pos[:, :1] + 1
        data.split = ("train", "train", "val", "test")[seed % 4]
        samples.append(data)
    path = tmp_path / "strong.h5"
    write_hdf5(path, samples, names={"x": ["force", "strength"], "y": ["answer"]})
    return path


@pytest.fixture
def study_file(tmp_path, strong_file) -> Path:
    path = tmp_path / "question.toml"
    path.write_text(STUDY.replace("FILE", str(strong_file)).replace("OUT", str(tmp_path / "out")))
    return path


def test_a_study_from_the_command_line(study_file, tmp_path, capsys):
    assert main(["study", str(study_file)]) == 0
    out = tmp_path / "out"
    said = capsys.readouterr().out
    assert said.count("| la2former, k=4") == 4  # a table of errors and one of bins for each part
    study = read_json(out / "study.json")
    assert [(part["folder"], part["by"]) for part in study["parts"].values()] == [
        ("one", "strength"),
        ("two", "strength"),
    ]
    page, twin = (out / "page.html").read_text(), (out / "page.md").read_text()
    assert "Which is &lt;better&gt;?" in page
    assert "Which is <better>?" in twin
    assert "<script src" not in page
    assert not re.findall(r'(?:src|href)="(?!data:image/png;base64,|#)', page)
    assert page.count("<img") == 6  # curves, fields and windows of each part
    assert "pyg-neuralops" in twin
    results = read_json(out / "one" / "results.json")
    inside = results["inside"]["la2former, k=4"]
    assert len(inside["windows"]) == len(inside["gates"]) == 2
    assert results["inside"]["graph-sage"] == {}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("best.safetensors")}
    assert len(before) == 6
    assert main(["study", str(study_file)]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("best.safetensors")} == before
    assert (
        main(["report", str(out / "one"), str(out / "one" / "graph-sage" / "seed0"), "--out", str(tmp_path / "p.html")])
        == 0
    )
    joined = (tmp_path / "p.html").read_text()
    assert joined.count("<section") == 2
    assert joined.count("<img") == 4  # the run's curves are drawn


def test_pictures_and_tables_of_what_is_no_longer_asked_for_are_removed(study_file, tmp_path):
    text = study_file.read_text().replace("[parts.two]\nseed = 1\n", "")
    study_file.write_text(text + "transfer = {other = {}}")
    run_study(Study.from_toml(study_file), progress=False)
    folder = tmp_path / "out" / "one"
    assert (folder / "windows.png").exists()
    assert "untrained for these" in (tmp_path / "out" / "page.md").read_text()
    study_file.write_text(
        text.replace('models = ["la2former", "graph-sage"]', 'models = ["graph-sage"]').partition("[over")[0]
        + "[parts.one]\n"
    )
    run_study(Study.from_toml(study_file), progress=False)
    assert not (folder / "windows.png").exists()
    assert not (folder / "transfer.json").exists()
    assert "untrained for these" not in (tmp_path / "out" / "page.md").read_text()


def test_a_folder_of_something_else_is_left_alone(study_file, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert main(["study", str(study_file)]) == 2
    assert "notes.txt" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_mistakes_in_a_later_part_are_told_before_the_first_is_trained(study_file, tmp_path):
    text = study_file.read_text()
    for change, message in (
        ("dataset = 'darcie'", "part 'two': unknown dataset 'darcie'"),
        ("dataset = 'darcy'\nby = 'strength'", "part 'two': by='strength' is no input channel"),
        ("dataset = 'darcy'\nby = 'coefficient'\ntransfer = {fine = {resolutions = 9}}", "part 'two': .*resolutions"),
        ("overrides = {graph-sage = {head = 3}}", "part 'two': .*head"),
        ("transfer = {fine = {points = 9}}", "part 'two': a file takes no arguments"),
    ):
        study_file.write_text(text + change)
        with pytest.raises(ValueError, match=message):
            run_study(Study.from_toml(study_file), progress=False)
        assert not (tmp_path / "out").exists()


def test_pages_of_others_stay(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ValueError, match="no page of this library"):
        write_page([tmp_path], tmp_path / "README.html")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_dry_run_tells_every_model_and_writes_nothing(study_file, tmp_path, capsys):
    assert main(["study", str(study_file), "--dry-run", "--jobs", "2"]) == 0
    said = capsys.readouterr().out
    assert said.count("| one |") == said.count("| two |") == 3
    assert "of training with 2 job(s)" in said
    assert not (tmp_path / "out").exists()


def test_bins(strong_file, comparison, tmp_path):
    results = compare(replace(comparison, dataset=str(strong_file), seeds=2), progress=False)
    values = results["test_constants"]
    assert list(values) == ["strength"]
    assert np.allclose(values["strength"], np.arange(3, 24, 4) / 10)
    found = in_bins(results, "strength", [0.5, 1.6])
    assert found["counts"] == [1, 3, 2]
    run = results["runs"][1]
    per_sample = np.array(run["test"]["per_sample"])
    assert np.allclose(
        found["rows"][run["model"]][run["seed"]], [per_sample[0], per_sample[1:4].mean(), per_sample[4:].mean()]
    )
    assert len(found["rows"]["mean"]) == 1
    assert in_bins(results, "strength")["counts"] == [2, 2, 2]
    text = bin_table(found)
    assert "under 0.5 (1)" in text
    assert "0.5 to 1.6 (3)" in text
    assert "1.6 and up (2)" in text
    assert " ± " in text
    with pytest.raises(ValueError, match=r"by='force'.*choose from \['strength'\]"):
        in_bins(results, "force")
    broken = json.loads(json.dumps(results))
    broken["runs"][0]["test"]["per_sample"][0] = None
    broken["runs"][0]["test"]["undefined"] = {"count": 1, "indices": [0]}
    assert in_bins(broken, "strength", [0.5])["rows"][run["model"]][0][0] is None
    assert constants([random_mesh(5)], ["a"]) == {}


def test_transfer_tests_the_selected_weights_elsewhere(comparison, strong_file, tmp_path, monkeypatch):
    results = compare(comparison, progress=False)
    samples, info = read_hdf5(comparison.dataset)
    for sample in samples:
        sample.x = 3 * sample.x
    other = tmp_path / "other.h5"
    write_hdf5(other, samples, names=info["names"])
    there = {"scaled": replace(_choice(comparison), dataset=str(other)), "same": _choice(comparison)}
    found = transfer(comparison, results, there, progress=False)
    for run in results["runs"]:
        moved = found["errors"][run["model"]][str(run["seed"])]
        assert moved["same"]["per_sample"] == pytest.approx(run["test"]["per_sample"], rel=1e-5)
        model = load_model(Path(comparison.out, run["model"], f"seed{run['seed']}", "best.safetensors"))
        want = evaluate(model, mesh_loader(load_split(there["scaled"], "test")[0], 4)).first
        assert moved["scaled"]["per_sample"] == pytest.approx(want.tolist(), rel=1e-5)
        assert moved["scaled"]["mean"] != pytest.approx(run["test"]["mean"], rel=1e-6)
    assert read_json(Path(comparison.out, "transfer.json"))["errors"] == json.loads(json.dumps(found["errors"]))
    assert "| model" in transfer_table(found, results)

    def never(*_, **__):
        raise AssertionError("tested again")

    monkeypatch.setattr(transfer_module, "evaluate", never)
    assert transfer(comparison, results, there, progress=False)["errors"] == json.loads(json.dumps(found["errors"]))
    with pytest.raises(ValueError, match="in_channels=2"):
        transfer(
            comparison, results, {"strong": replace(_choice(comparison), dataset=str(strong_file))}, progress=False
        )


def _choice(comparison) -> DataChoice:
    return DataChoice(**{name: getattr(comparison, name) for name in DataChoice.__dataclass_fields__})


@pytest.mark.parametrize(("folders", "out", "message"), [([], "p.html", "no folders"), (["x"], "p.pdf", "must end in")])
def test_pages_that_cannot_be(folders, out, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_page(folders, tmp_path / out)
    with pytest.raises(FileNotFoundError):
        write_page([tmp_path / "nowhere"], tmp_path / "p.html")
    assert not list(tmp_path.iterdir())
