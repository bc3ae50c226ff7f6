"""A run that was killed at any time and started again is the run that was never killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy import Toy, toy_run

from pyg_neuralops.data import mesh_loader
from pyg_neuralops.engine import SteadyField, SteadyGradient, fit
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_grid, random_mesh


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_run_reaches_the_same_losses_to_the_last_digit(tmp_path):
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["deaths"] >= 8
    killed, alone = report["histories"]
    assert len(alone) == 8
    assert killed == alone
    assert report["best"][0] == report["best"][1]
    assert report["resumed"] == [True, False]
    weights = [load_file(tmp_path / name / "best.safetensors") for name in ("killed", "alone")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    for name in ("killed", "alone"):
        rows = (tmp_path / name / "history.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in rows] == ["epoch", *map(str, range(1, 9))]
        names = {file.name for file in (tmp_path / name).iterdir()}
        assert names == {"best.safetensors", "last.ckpt", "history.csv", ".lock"}


def test_finished_run_is_not_trained_again(tmp_path):
    model, train, val = toy_run()
    first = fit(model, train, val, out=tmp_path, epochs=3)
    again, train, val = toy_run()
    second = fit(again, train, val, out=tmp_path, epochs=3)
    assert second.resumed
    assert second.history == first.history
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def other_targets(model, train, val):
    train.dataset[3].y[0] += 1
    return model, train, val


def other_val(model, train, val):
    val.dataset[3].x[0] += 1
    return model, train, val


def another_order(model, train, val):
    train.dataset.samples.reverse()
    return model, train, val


def other_weights(model, train, val):
    with torch.no_grad():
        model.model.net[0].bias[0] += 1e-6
    return model, train, val


def other_normaliser(model, train, val):
    model.y.mean[0] += 1e-3
    return model, train, val


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_targets, "other training samples"),
        (other_val, "other validation samples"),
        (another_order, "other training samples"),
        (other_weights, r"other initial weights \(build the model anew, with the seed"),
        (other_normaliser, "other normalisers"),
        (lambda *run: (*run[:2], None), "validation batch_size=4, not None; .*other validation samples"),
        (lambda *_: toy_run(batch_size=8), "training batch_size=4, not 8"),
        (lambda *_: toy_run(max_nodes=30), "training max_nodes=None, not 30"),
        (lambda *_: toy_run(shuffle=False), "training shuffle=True, not False"),
        (lambda *_: toy_run(count=20), "other normalisers; other training samples"),
    ],
)
def test_another_run_is_not_answered_from_the_old_one(tmp_path, change, message):
    fit(*toy_run(), out=tmp_path, epochs=1)
    with pytest.raises(ValueError, match=f"holds a run with {message}"):
        fit(*change(*toy_run()), out=tmp_path, epochs=1)
    assert fit(*toy_run(), out=tmp_path, epochs=1).resumed


def test_another_task_is_not_answered_from_the_old_one(tmp_path):
    grids = [random_grid((4, 4), in_channels=1, seed=seed) for seed in range(4)]

    def run(task):
        torch.manual_seed(0)
        return fit(normalized(Toy(1, 1), grids), mesh_loader(grids, 2), None, out=tmp_path, epochs=1, task=task)

    run(SteadyGradient(0.1))
    for task in (SteadyGradient(0.2), SteadyField()):
        with pytest.raises(ValueError, match="holds a run with other task"):
            run(task)
    assert run(SteadyGradient(0.1)).resumed


OWN = """
import threading
import torch
from torch import nn
from pyg_neuralops.engine import SteadyField
from pyg_neuralops.models import NeuralOperator
from pyg_neuralops.transforms.patch_metric import PatchMetric

def size(error):
    return error.square()

class Task(SteadyField):
    def loss(self, prediction, item):
        return size(prediction - item.y).mean()

class Locked(Task):
    def __init__(self):
        self.lock = threading.Lock()

def steps(groups, lr, weight_decay):
    return torch.optim.SGD(groups, lr=0.5 * lr)

class Layer(nn.Linear):
    def forward(self, x):
        return super().forward(x).tanh()

class Module(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.net = Layer(in_channels, out_channels)
    def forward(self, data):
        return self.net(data.x)

class Operator(NeuralOperator):
    def __init__(self, in_channels, out_channels, pos_dim=2):
        super().__init__()
        self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, pos_dim
        self.net = Layer(in_channels, out_channels)
    def core(self, x, mesh):
        return self.net(x)

class Metric(PatchMetric):
    def distance(self, data, index, offset):
        return offset.norm(dim=-1)
    def stretch(self, data):
        return torch.ones(data.num_nodes, dtype=torch.float64)
"""


def own_run(out, code, task="", model="la2former", optimizer="adamw", **kwargs):
    """A run with the user's module as ``code`` says, imported anew."""
    sys.modules.pop("users_run", None)
    users = sys.modules["users_run"] = types.ModuleType("users_run")
    exec(compile(code, "users_run.py", "exec"), vars(users))
    grids = [random_grid((4, 4), in_channels=1, seed=seed) for seed in range(4)]
    torch.manual_seed(0)
    inner = build_model(model, in_channels=1, out_channels=1, **kwargs)
    made = vars(users)[task]() if task else SteadyField()
    options = {"out": out, "epochs": 1, "lr": 1e-3, "task": made, "optimizer": optimizer, "resume": task != "Locked"}
    return fit(normalized(inner, grids), mesh_loader(grids, 2), None, **options)


SMALL = {"hidden_channels": 8, "num_layers": 1}


@pytest.mark.parametrize(
    ("change", "run", "what"),
    [
        (("square", "abs"), {"task": "Task", **SMALL}, "other task"),
        (("0.5 * lr", "0.4 * lr"), {"optimizer": "users_run:steps", **SMALL}, "other code of the optimizer"),
        (("tanh", "sin"), {"model": "users_run:Module"}, "other code of users_run:Module"),
        (("tanh", "sin"), {"model": "users_run:Operator"}, "other code of users_run:Operator"),
        (
            ("offset.norm(", "offset.abs().sum("),
            {"patches": {"k": 4, "metric": {"name": "users_run:Metric"}}, **SMALL},
            "other code of users_run:Metric",
        ),
    ],
)
def test_other_code_of_the_users_own_is_not_answered_from_the_old_run(tmp_path, monkeypatch, change, run, what):
    monkeypatch.setitem(sys.modules, "users_run", None)
    first = own_run(tmp_path, OWN, **run)
    again = own_run(tmp_path, OWN.replace("import torch\n", "import torch  # a comment\n\n"), **run)
    assert again.resumed
    assert again.history == first.history
    with pytest.raises(ValueError, match=f"holds a run with {what}"):
        own_run(tmp_path, OWN.replace(*change), **run)


def test_a_task_that_cannot_be_compared_trains_only_where_it_need_not_go_on(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "users_run", None)
    assert not own_run(tmp_path, OWN, task="Locked", **SMALL).resumed
    locked = sys.modules["users_run"].Locked()
    with pytest.raises(ValueError, match=r"task: holds what cannot be compared .* pass resume=False"):
        fit(*toy_run(), out=tmp_path / "new", epochs=1, task=locked)
    assert not (tmp_path / "new").exists()


def test_another_patch_size_is_not_answered_from_the_old_run(tmp_path):
    """k changes no weight's shape."""
    samples = [random_mesh(30, seed=seed) for seed in range(4)]

    def run(k):
        torch.manual_seed(0)
        inner = build_model("la2former", in_channels=2, out_channels=1, hidden_channels=8, num_layers=1, patches=k)
        return fit(normalized(inner, samples), mesh_loader(samples, 2), None, out=tmp_path, epochs=1)

    run(16)
    with pytest.raises(ValueError, match=r"holds a run with model's .*16.*, not .*8"):
        run(8)
    assert run(16).resumed


def test_more_epochs_are_refused_with_the_way(tmp_path):
    fit(*toy_run(), out=tmp_path, epochs=1)
    with pytest.raises(ValueError, match=r"epochs=1, not 2 \(.*start another run .* \(checkpoint\.start_from\)"):
        fit(*toy_run(), out=tmp_path, epochs=2)


def test_random_transforms_do_not_make_another_run(tmp_path):
    class Jittered(list):
        def __getitem__(self, index):
            sample = super().__getitem__(index).clone()
            sample.x = sample.x + random.random() + np.random.rand() + torch.rand(1)  # noqa: NPY002
            return sample

    def run(out):
        model, train, val = toy_run()
        random.seed(), np.random.seed()  # noqa: NPY002
        return fit(model, mesh_loader(Jittered(train.dataset), 4, shuffle=True), val, out=out, epochs=2)

    first = run(tmp_path / "a")
    assert run(tmp_path / "a").resumed
    assert [row["loss"] for row in run(tmp_path / "b").history] == [row["loss"] for row in first.history]


def test_every_flipped_bit_of_a_run_is_an_error_that_names_the_file(tmp_path):
    fit(*toy_run(), out=tmp_path, epochs=1)
    draw = random.Random(0)
    for name in ("last.ckpt", "best.safetensors"):
        whole, errors = (tmp_path / name).read_bytes(), 0
        for _ in range(60):
            content = bytearray(whole)
            content[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=name.replace(".", r"\.")):
                fit(*toy_run(), out=tmp_path, epochs=1)
            errors += 1
        assert errors == 60
        (tmp_path / name).write_bytes(whole)
    assert fit(*toy_run(), out=tmp_path, epochs=1).resumed


def test_weights_of_another_run_in_the_folder_are_noticed(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        fit(*toy_run(seed=seed), out=tmp_path / name, epochs=1)
    shutil.copy(tmp_path / "b" / "best.safetensors", tmp_path / "a" / "best.safetensors")
    with pytest.raises(ValueError, match=r"best\.safetensors holds other weights than this run selected"):
        fit(*toy_run(), out=tmp_path / "a", epochs=1)


def test_what_a_run_left_is_not_deleted_unasked(tmp_path):
    fit(*toy_run(), out=tmp_path, epochs=1)
    (tmp_path / "last.ckpt").unlink()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"holds best\.safetensors of a run, but no last\.ckpt"):
        fit(*toy_run(), out=tmp_path, epochs=1)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert not fit(*toy_run(), out=tmp_path, epochs=1, resume=False).resumed


def test_temporary_files_of_others_are_left_alone(tmp_path):
    (tmp_path / ".mine.h5.abc.tmp").write_text("being written")
    fit(*toy_run(), out=tmp_path, epochs=1)
    assert (tmp_path / ".mine.h5.abc.tmp").read_text() == "being written"


def test_resume_false_starts_anew(tmp_path):
    fit(*toy_run(), out=tmp_path, epochs=3)
    result = fit(*toy_run(), out=tmp_path, epochs=2, resume=False)
    assert not result.resumed
    assert [row["epoch"] for row in result.history] == [1, 2]


@pytest.mark.parametrize(("change", "message"), [({"lr": 2e-3}, "lr=0.008, not 0.002"), ({"epochs": 4}, "epochs=3")])
def test_folder_of_another_run_is_refused_and_left_alone(tmp_path, change, message):
    fit(*toy_run(), out=tmp_path, epochs=3)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=message):
        fit(*toy_run(), out=tmp_path, **({"epochs": 3} | change))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_damaged_checkpoint_is_one_clear_error(tmp_path):
    fit(*toy_run(), out=tmp_path, epochs=1)
    whole = (tmp_path / "last.ckpt").read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        (tmp_path / "last.ckpt").write_bytes(content)
        with pytest.raises(ValueError, match=r"last\.ckpt is damaged or foreign"):
            fit(*toy_run(), out=tmp_path, epochs=1)


def test_two_processes_do_not_share_a_folder(tmp_path):
    holder = (
        "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1] + '/.lock'); lock.acquire(); "
        "sys.stdout.write('held'); sys.stdout.flush(); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.read(4) == "held"
        with pytest.raises(ValueError, match="is in use by another process"):
            fit(*toy_run(), out=tmp_path, epochs=1)
    finally:
        process.kill()
        process.communicate()
    assert len(fit(*toy_run(), out=tmp_path, epochs=1).history) == 1


@pytest.mark.parametrize("budget", [{"epochs": 5}, {"steps": 27}])
def test_what_was_trained_before_an_end_counts_after_it(tmp_path, budget):
    """Six batches an epoch; an error from outside ends the run after its second epoch."""

    def stop(row):
        if row["epoch"] == 2:
            raise OSError("no connection")

    with pytest.raises(OSError, match="no connection"):
        fit(*toy_run(), out=tmp_path, **budget, on_epoch=stop)
    result = fit(*toy_run(), out=tmp_path, **budget)
    assert result.resumed
    batches, seconds = ([row[name] for row in result.history] for name in ("batches", "seconds"))
    assert batches == ([6] * 5 if "epochs" in budget else [6, 6, 6, 6, 3])
    assert seconds == sorted(seconds)
    assert len(set(seconds)) == 5
