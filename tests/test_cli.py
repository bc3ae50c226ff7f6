"""The command line as a user meets it: results where they were asked for, mistakes in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import pyg_neuralops.cli
from pyg_neuralops.checkpoint import load_model, save_model
from pyg_neuralops.cli import main
from pyg_neuralops.cli.main import COMMANDS
from pyg_neuralops.cli.options import pairs
from pyg_neuralops.data import HDF5Meshes, read_hdf5, write_hdf5
from pyg_neuralops.datasets import DATASETS, Darcy
from pyg_neuralops.engine.tasks import TASKS
from pyg_neuralops.models import build_model
from pyg_neuralops.study.provenance import file_digest
from pyg_neuralops.testing import random_mesh

SMALL = ["--hidden-channels", "16", "--num-layers", "1", "--batch-size", "4", "--accelerator", "cpu"]
OLD = Path(__file__).parent / "data_files" / "la2former-patches-1.safetensors"

OWN_MODEL = '''
from torch import nn

class Mine(nn.Module):
    """Position and input to output, point by point."""

    def __init__(self, in_channels, out_channels, pos_dim=2, hidden_channels=8, num_layers=1):
        super().__init__()
        self.layer = nn.Linear(in_channels + pos_dim, out_channels)

    def forward(self, data):
        import torch
        return self.layer(torch.cat([data.x, data.coords], 1))
'''


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with meshes.h5 in it: 30 meshes with learnable targets."""
    samples = [random_mesh(20 + seed % 3, in_channels=1, seed=seed) for seed in range(30)]
    for sample in samples:
        sample.y = 2 + sample.x * sample.pos[:, :1] + (3 * sample.pos[:, 1:]).sin()
    write_hdf5(tmp_path / "meshes.h5", samples, names={"x": ["force"], "y": ["answer"]}, units={"y": ["m"]})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *words: str) -> str:
    """The one line that a mistake is answered with."""
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines(keepends=True)
    err = "".join(line for line in lines if "parameters; about" not in line)  # told before a run begins
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_train_evaluate_predict(folder, capsys):
    run = ["train", "--dataset", "meshes.h5", "--model", "graph-sage", "--epochs", "3", "--out", "run", *SMALL]
    assert main([*run, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert not (folder / "run").exists()
    assert main(run) == 0
    result = json.loads((folder / "run/result.json").read_text())
    assert f"graph-sage: {result['parameters']:,} parameters; about 18 steps of" in said
    printed = capsys.readouterr()
    assert f"graph-sage: {result['parameters']:,} parameters; about 18 steps of" in printed.err
    said = printed.out
    assert "graph-sage: test error" in said
    assert "run/best.safetensors" in said

    first = (folder / "run/result.json").read_bytes()
    assert main(run) == 0  # done already
    assert (folder / "run/result.json").read_bytes() == first
    assert "epochs=3 there, 4 here" in refused(capsys, *[word if word != "3" else "4" for word in run])

    again = ["train", "--from", "run/best.safetensors", "--dataset", "meshes.h5", "--epochs", "1", "--out", "tuned"]
    assert main(again) == 0
    capsys.readouterr()
    tuned = json.loads((folder / "tuned/result.json").read_text())
    assert tuned["class"] == "graph-sage"
    assert tuned["initial"]["replace"] == []
    assert "needs --from" in refused(capsys, *run[: -len(SMALL) or None], "--replace", "encoder")

    model = ["--checkpoint", "run/best.safetensors"]
    assert main(["evaluate", *model, "--dataset", "meshes.h5", "--accelerator", "cpu"]) == 0
    errors = json.loads((folder / "run/errors-test.json").read_text())["errors"]
    assert errors["mean"] == pytest.approx(result["test"]["mean"], rel=1e-5)

    predict = ["predict", *model, "--input", "meshes.h5", "--output", "out.h5", "--accelerator", "cpu"]
    assert main([*predict, "--picture", "one.png"]) == 0
    before, _ = read_hdf5("meshes.h5")
    after, about = read_hdf5("out.h5")
    assert about["y_is"] == "prediction"
    assert about["names"]["y"] == ["answer"]
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old.face, new.face)
        assert torch.equal(old.x, new.x)
        assert not torch.equal(old.y, new.y)
    assert (folder / "one.png").read_bytes()[:4] == b"\x89PNG"
    assert "out.h5 exists" in refused(capsys, *predict)
    assert main([*predict, "--overwrite"]) == 0


def test_compare_with_a_users_own_model(folder, capsys):
    (folder / "my_models").mkdir()
    (folder / "my_models" / "ideas.py").write_text(OWN_MODEL)
    models = ["--models", "graph-sage", "my_models.ideas:Mine"]
    words = ["compare", "--dataset", "meshes.h5", *models, "--epochs", "2", "--seeds", "2", "--out", "first", *SMALL]
    assert main(words) == 0
    said, warned = capsys.readouterr()
    assert "graph-sage is not trained enough to be compared: 12 steps, under 1,000" in warned
    assert "about 12 steps of" in warned
    assert "under 1,000 steps are seldom enough to compare models" in warned
    for name in ("graph-sage", "my_models.ideas:Mine", "*mean*", "*1-nn*"):
        assert f"| {name} " in said
    for name in ("results.json", "table.md", "error_vs_time.png", "fields.png"):
        assert (folder / "first" / name).stat().st_size > 0
    assert len(json.loads((folder / "first/results.json").read_text())["runs"]) == 4


def test_recipe_file_gives_settings_that_options_replace(folder, capsys):
    (folder / "recipe.toml").write_text(
        'dataset = "meshes.h5"\nmodels = ["wide"]\nepochs = 1\nhidden_channels = 8\n'
        'num_layers = 1\naccelerator = "cpu"\n'
        '[overrides.wide]\nmodel = "graph-sage"\nhidden_channels = 24\n'
    )
    assert main(["compare", "--recipe", "recipe.toml", "--epochs", "2", "--out", "first"]) == 0
    run = json.loads((folder / "first/wide/seed0/result.json").read_text())
    assert (run["epochs"], run["config"]["hidden_channels"]) == (2, 24)
    # A model that the recipe does not name, at the recipe's sizes.
    assert main(["compare", "--recipe", "recipe.toml", "--models", "graph-sage", "--out", "second"]) == 0
    run = json.loads((folder / "second/graph-sage/seed0/result.json").read_text())
    assert run["config"]["hidden_channels"] == 8
    # With "=", with a byte order mark, and a budget in seconds in place of the file's epochs.
    (folder / "marked recipe.toml").write_text((folder / "recipe.toml").read_text(), encoding="utf-8-sig")
    assert main(["compare", "--recipe=marked recipe.toml", "--seconds=0.2", "--out=third"]) == 0
    run = json.loads((folder / "third/wide/seed0/result.json").read_text())
    assert (run["recipe"]["epochs"], run["recipe"]["seconds"]) == (None, 0.2)
    assert run["config"]["hidden_channels"] == 24
    # What the file lacks may come from the command line.
    (folder / "sizes.toml").write_text(
        'models = ["graph-sage"]\nepochs = 1\nhidden_channels = 8\naccelerator = "cpu"\n'
    )
    assert main(["compare", "--recipe", "sizes.toml", "--dataset", "meshes.h5", "--out", "fourth"]) == 0


def test_all_samples_of_a_new_file_in_its_order(folder, capsys):
    run = ["train", "--dataset", "meshes.h5", "--model", "graph-sage", "--epochs", "1", "--out", "run", *SMALL]
    assert main(run) == 0
    words = ["evaluate", "--checkpoint", "run/best.safetensors", "--accelerator", "cpu", "--split", "all", "--dataset"]
    assert main([*words, "meshes.h5"]) == 0
    whole = json.loads((folder / "run/errors-all.json").read_text())["errors"]["per_sample"]
    samples, _ = read_hdf5("meshes.h5")
    assert len(whole) == len(samples) == 30
    for index in (0, 17):  # one sample is too few to split
        write_hdf5("one.h5", [samples[index]])
        assert main([*words, "one.h5", "--out", f"one{index}.json"]) == 0
        (alone,) = json.loads((folder / f"one{index}.json").read_text())["errors"]["per_sample"]
        assert alone == pytest.approx(whole[index], rel=1e-5)
    for sample in samples:  # all of them for testing: nothing of the other splits is needed
        sample.split = "test"
    write_hdf5("tests.h5", samples)
    assert main([*words, "tests.h5", "--split", "test"]) == 0
    found = json.loads((folder / "run/errors-test.json").read_text())["errors"]["per_sample"]
    assert found == pytest.approx(whole, rel=1e-5)


def test_a_picture_needs_no_target(folder, capsys):
    run = ["train", "--dataset", "meshes.h5", "--model", "graph-sage", "--epochs", "1", "--out", "run", *SMALL]
    assert main(run) == 0
    samples, _ = read_hdf5("meshes.h5")
    for sample in samples:
        sample.y = None
    write_hdf5("new.h5", samples)
    words = ["predict", "--checkpoint", "run/best.safetensors", "--input", "new.h5", "--accelerator", "cpu"]
    # A picture that cannot be written leaves no output, so that the same command can be given again.
    (folder / "file").write_text("")
    failing = [*words, "--output", "out.h5", "--picture", "file/one.png"]
    assert "file/one.png" in refused(capsys, *failing)
    assert not (folder / "out.h5").exists()
    (folder / "file").unlink()
    assert main(failing) == 0
    assert (folder / "file/one.png").read_bytes()[:4] == b"\x89PNG"
    assert len(read_hdf5("out.h5")[0]) == 30
    for name, head in (("one.pdf", b"%PDF"), ("one.svg", b"<?xm")):
        assert main([*words, "--output", "out.h5", "--overwrite", "--picture", name]) == 0
        assert (folder / name).read_bytes()[:4] == head


def test_values_are_json_or_pythons_or_words():
    words = ["k=29", "local=False", "coords=true", "period=None", "metric=Upwind('wind')"]
    expected = {"k": 29, "local": False, "coords": True, "period": None, "metric": "Upwind('wind')"}
    assert pairs(words) == expected


def test_data_generates_and_tells(folder, capsys):
    words = ["data", "darcy", "--num-samples", "12", "--resolution", "5", "--root", "darcy", "--workers", "0"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "25 to 25 points" in said
    assert "lies in darcy" in said
    assert "coefficient" in said
    assert main([*words, "--preview"]) == 0
    assert "picture: darcy/darcy-samples.png" in capsys.readouterr().out
    assert (folder / "darcy" / "darcy-samples.png").stat().st_size > 1000
    assert main(["data"]) == 0
    said = capsys.readouterr().out
    assert "pipe                   Steady incompressible flow through a curved pipe\n" in said
    assert "math" not in said


def test_data_converts_official_files(folder, capsys, monkeypatch):
    class Published(Darcy):
        """Darcy with small official files."""

        name = "published"
        official_files = ("fields.npz",)
        official_counts = (20, 4)

        def count_official(self, files):
            return 24

        def read_official(self, files, rows):
            values = torch.from_numpy(np.load(files["fields.npz"])["u"])
            return (random_mesh(9, in_channels=1, seed=row).update({"y": values[row]}) for row in rows)

    monkeypatch.setitem(DATASETS, "published", Published)
    (folder / "downloads" / "inner").mkdir(parents=True)
    np.savez(folder / "downloads" / "inner" / "fields.npz", u=np.random.default_rng(0).random((24, 9, 1), np.float32))
    words = ["data", "published", "--root", "data", "--from"]
    assert main([*words, "downloads"]) == 0
    said = capsys.readouterr().out
    assert "18 train, 2 val, 4 test" in said
    assert "source: official" in said
    assert main(["data", "published", "--root", "data"]) == 0  # converted once and for all
    assert "source: official" in capsys.readouterr().out
    assert "no ['fields.npz'] below meshes" in refused(capsys, *words, "meshes")
    assert "poisson has no official files" in refused(capsys, "data", "poisson", "--from", "downloads")
    assert "--from needs the name of a dataset" in refused(capsys, "data", "meshes.h5", "--from", "downloads")


def test_channels_that_do_not_match_are_named(folder, capsys):
    assert (
        main(["train", "--dataset", "meshes.h5", "--model", "graph-sage", "--epochs", "1", "--out", "run", *SMALL]) == 0
    )
    write_hdf5(folder / "wide.h5", [random_mesh(10, in_channels=3, seed=seed) for seed in range(10)])
    message = "the data have in_channels=3; the model was trained with in_channels=1"
    model = ["--checkpoint", "run/best.safetensors"]
    assert message in refused(capsys, "evaluate", *model, "--dataset", "wide.h5")
    assert message in refused(capsys, "predict", *model, "--input", "wide.h5", "--output", "out.h5")
    assert not (folder / "out.h5").exists()


def test_code_that_a_checkpoint_names_is_run_on_request_only(folder, capsys, monkeypatch):
    """A model, and the metric of a library model's patches."""
    monkeypatch.syspath_prepend(str(folder))
    (folder / "mine_from.py").write_text(OWN_MODEL)
    own = """
from pyg_neuralops.transforms import Anisotropic

class Near(Anisotropic):
    pass
"""
    (folder / "near_from.py").write_text(own)
    train = ["train", "--dataset", "meshes.h5", "--epochs", "1", "--batch-size", "4", "--accelerator", "cpu"]
    assert main([*train, "--model", "mine_from:Mine", "--out", "mine"]) == 0
    samples = [*HDF5Meshes("meshes.h5")]
    for sample in samples:
        sample.squeeze = torch.eye(2).repeat(sample.num_nodes, 1, 1)
    write_hdf5(folder / "squeezed.h5", samples)
    patches = {"k": 5, "metric": {"name": "near_from:Near", "field": "squeeze"}}
    sizes = {"in_channels": 1, "out_channels": 1, "pos_dim": 2, "hidden_channels": 16, "num_layers": 1, "heads": 2}
    save_model(folder / "near.safetensors", build_model("la2former", **sizes, patches=patches))
    for path, name, message in (
        ("mine/best.safetensors", "mine_from", "holds a model 'mine_from:Mine' that is not of this library"),
        ("near.safetensors", "near_from", "holds a patch metric 'near_from:Near' that is not of this library"),
    ):
        sys.modules.pop(name)
        again = [*train, "--dataset", "squeezed.h5", "--from", path, "--out", f"{name}_again"]
        assert message in refused(capsys, *again)
        assert name not in sys.modules
        assert not (folder / f"{name}_again").exists()
        assert main([*again, "--trust-import"]) == 0
        assert name in sys.modules
    result = json.loads((folder / "near_from_again/result.json").read_text())
    assert result["config"]["patches"]["metric"]["name"] == "near_from:Near"
    assert result["initial"]["checkpoint"] == file_digest(folder / "near.safetensors")


def test_training_goes_on_from_a_checkpoint_of_older_settings(folder):
    """k, period, through_solid and metric as four arguments, as the file has them."""
    samples = []
    for seed in range(12):
        sample = random_mesh(20, in_channels=2, seed=seed)
        sample.wind = torch.ones(20, 2)
        samples.append(sample)
    write_hdf5(folder / "windy.h5", samples)
    words = ["train", "--dataset", "windy.h5", "--epochs", "1", "--lr", "1e-30", "--weight-decay", "0", "--out", "run"]
    assert main([*words, "--from", str(OLD), "--accelerator", "cpu"]) == 0
    found, old = load_model("run/best.safetensors").model, load_model(OLD).model
    assert found.patches.key == "knn(k=6, metric=Upwind(field='wind', stretch=6.0, both=False))"
    for key, value in old.state_dict().items():
        torch.testing.assert_close(found.state_dict()[key], value, rtol=0, atol=1e-29)


NOTES = [
    {"data": "darcy"},
    {"data": ["darcy", 1]},
    {"data": None},
    {"data": {"names": "x", "units": {"y": 3}}},
    {"data": {"names": {"y": [1]}, "units": ["m"]}},
]


@pytest.mark.parametrize("info", NOTES, ids=str)
def test_what_a_user_notes_in_a_checkpoint_is_the_users(folder, capsys, info):
    """Files with other notes give the errors and predictions of the file without any."""
    sizes = {"in_channels": 1, "out_channels": 1, "hidden_channels": 8, "num_layers": 1}
    model = build_model("graph-sage", **sizes)
    found = []
    for name, noted in (("plain", None), ("noted", info)):
        save_model(f"{name}.safetensors", model, noted)
        file = ["--checkpoint", f"{name}.safetensors", "--accelerator", "cpu"]
        assert main(["evaluate", *file, "--dataset", "meshes.h5", "--out", f"{name}.json"]) == 0
        assert main(["predict", *file, "--input", "meshes.h5", "--output", f"{name}.h5"]) == 0
        samples, about = read_hdf5(f"{name}.h5")
        said = json.loads((folder / f"{name}.json").read_text())
        found.append((said["errors"], said["metrics"], about["names"], [sample.y.tolist() for sample in samples]))
    assert found[0] == found[1]
    assert found[0][0]["mean"] > 0


@pytest.mark.parametrize("task", ["x", ["steady"], {"name": ["steady"]}], ids=str)
def test_a_task_that_is_none_is_named(folder, capsys, task):
    save_model("noted.safetensors", build_model("graph-sage", in_channels=1, out_channels=1), {"data": {"task": task}})
    file = ["--checkpoint", "noted.safetensors"]
    message = f"names the task {task!r}; a name with its arguments is needed"
    assert message in refused(capsys, "evaluate", *file, "--dataset", "meshes.h5")
    assert message in refused(capsys, "predict", *file, "--input", "meshes.h5", "--output", "out.h5")
    assert not (folder / "out.h5").exists()


def test_every_task_and_command_is_in_the_help(capsys):
    for command in ("data", "train", "evaluate", "compare"):
        assert main([command, "--help"]) == 0
        said = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert all(name in said for name in TASKS)
        assert "package.module:Class of your own" in said
    assert all(name in pyg_neuralops.cli.__doc__ for name in COMMANDS)


def test_divergence_is_one_line(folder, capsys):
    words = ["train", "--dataset", "meshes.h5", "--model", "graph-sage", "--lr", "1e30", "--clip", "None", *SMALL]
    assert "in epoch 1, batch" in refused(capsys, *words)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_cannot_be_written(folder, capsys):
    (folder / "locked").mkdir(mode=0o500)
    assert "locked" in refused(capsys, "train", "--dataset", "meshes.h5", "--out", "locked/run", *SMALL)


def test_debug_shows_where(folder, capsys):
    assert main(["compare", "--dataset", "nope", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_streams_that_are_closed_and_a_home_that_is_missing(folder):
    code = f"{sys.executable} -m pyg_neuralops"
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}

    def run(line: str) -> subprocess.CompletedProcess:
        return subprocess.run(line, shell=True, capture_output=True, text=True, env=environment, check=False)

    assert run(f"{code} data meshes.h5 > /dev/full").returncode == 2
    closed = run(f"{{ {code} data meshes.h5; echo $? >&2; }} | true")  # nobody reads
    assert closed.stderr == "141\n"
    for streams in (">&-", "2>&-", ">&- 2>&- <&-"):
        assert run(f"{code} data meshes.h5 {streams}").returncode == 0
    assert read_hdf5("meshes.h5")[0][0].num_nodes == 20


def test_help_comes_without_torch():
    code = "import sys; from pyg_neuralops.cli import main; main(['compare', '-h']); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--models" in done.stdout


@pytest.mark.skipif(shutil.which("kill") is None or os.name != "posix", reason="needs signals")
def test_ctrl_c_exits_130_and_the_same_command_goes_on(folder):
    command = ["train", "--dataset", "meshes.h5", "--model", "graph-sage", "--epochs", "60", "--out", "run", *SMALL]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-m", "pyg_neuralops", *command], **pipes)
    deadline = time.monotonic() + 60
    history = folder / "run/history.csv"
    while not (history.exists() and len(history.read_text().splitlines()) > 3) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command again goes on from here" in err
    assert "Traceback" not in err
    rows = history.read_text().splitlines()
    assert 4 <= len(rows) < 60
    assert main(command) == 0
    result = json.loads((folder / "run/result.json").read_text())
    assert result["resumed"]
    assert history.read_text().splitlines()[: len(rows)] == rows
    assert len(result["history"]) == 60
