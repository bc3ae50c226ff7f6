"""A user's own dataset, task and model join by import path, from Python, a recipe file and the command line alike."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from pyg_neuralops.cli import main
from pyg_neuralops.study import Comparison, DataChoice, compare, load_splits

PARTS = '''
import torch
from torch_geometric.data import Data, InMemoryDataset
from pyg_neuralops.engine import SteadyField
from .helper import FACTOR


def make(seed, factor):
    generator = torch.Generator().manual_seed(seed)
    pos, x = torch.rand(12 + seed % 3, 2, generator=generator), None
    x = torch.rand(len(pos), 1, generator=generator)
    return Data(pos=pos, x=x, y=factor * x + pos[:, :1])


class Set(InMemoryDataset):
    """PyG's usual form: ``split=``, files below ``root``."""

    names = {"y": ["heat"]}
    units = {"y": ["K"]}

    def __init__(self, root, split="train", transform=None, count: int = 8):
        self.count = count
        super().__init__(root, transform)
        self.load(self.processed_paths[["train", "val", "test"].index(split)])

    @property
    def processed_file_names(self):
        return ["train.pt", "val.pt", "test.pt"]

    def process(self):
        for index, path in enumerate(self.processed_paths):
            self.save([make(100 * index + number, FACTOR) for number in range(self.count)], path)


def listed(count: int = 20, factor: float = 2.0):
    return [make(seed, factor) for seed in range(count)]


def told(count: int = 6):
    names = ["train", "train", "val", "test", "test", "train"]
    return (Data(**make(seed, 1.0).to_dict(), split=names[seed]) for seed in range(count))


class Squared(SteadyField):
    """Mean square error as the loss."""

    def __init__(self, strength: float = 1.0):
        self.strength = strength

    def loss(self, prediction, item):
        return self.strength * (prediction - item.y).square().mean()


def steps(groups, lr, weight_decay):
    return torch.optim.SGD(groups, lr=lr)


class Model(torch.nn.Module):
    def __init__(self, in_channels, out_channels, pos_dim, hidden_channels=8, num_layers=1):
        super().__init__()
        self.layer = torch.nn.Linear(in_channels + pos_dim, out_channels)

    def forward(self, data):
        return self.layer(torch.cat([data.x, data.pos], 1))
'''


@pytest.fixture
def package(tmp_path, monkeypatch, request) -> str:
    """A package of the user's own, below the current folder."""
    name = f"mine{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "parts.py").write_text(PARTS)
    (tmp_path / name / "helper.py").write_text("FACTOR = 2.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def settings(package: str, **changes) -> dict:
    found = {
        "dataset": f"{package}.parts:listed",
        "dataset_args": {"count": 24},
        "task": f"{package}.parts:Squared",
        "task_args": {"strength": 2.0},
        "models": [f"{package}.parts:Model"],
        "epochs": 2,
        "batch_size": 4,
        "accelerator": "cpu",
        "out": "python",
    }
    return found | changes


def edit(path: Path, text: str) -> None:
    """A file's new text, imported anew as in a new process."""
    path.write_text(text)
    for name in [name for name in sys.modules if name.partition(".")[0] == path.parent.name]:
        sys.modules.pop(name)


def parts_of(package: str):
    return importlib.import_module(f"{package}.parts")


def test_a_pyg_dataset_is_asked_for_each_split(package):
    name = f"{package}.parts:Set"
    splits = load_splits(DataChoice(dataset=name, dataset_args={"count": 5}))
    assert splits.info["sizes"] == {"train": 5, "val": 5, "test": 5}
    assert splits.info["names"] == {"y": ("heat",)}
    assert splits.info["units"] == {"y": ("K",)}
    assert splits.info["folder"] == "datasets/Set"
    for part, base in ((splits.train, 0), (splits.val, 100), (splits.test, 200)):
        for number, sample in enumerate(part):
            expected = parts_of(package).make(base + number, 2.0)
            assert torch.equal(sample.y, expected.y)
            assert torch.equal(sample.pos, expected.pos)
    paper = load_splits(DataChoice(dataset=name, dataset_args={"count": 5}, protocol="paper"))
    assert paper.info["sizes"] == {"train": 10, "test": 5}
    assert paper.val is None
    elsewhere = load_splits(DataChoice(dataset=name, dataset_args={"count": 4}, root="elsewhere"))
    assert elsewhere.info["sizes"]["test"] == 4
    assert Path("elsewhere/processed/test.pt").exists()


def test_a_function_is_split_by_seed_or_as_its_samples_say(package):
    splits = [load_splits(DataChoice(dataset=f"{package}.parts:listed", split_seed=seed)) for seed in (0, 0, 1)]
    assert splits[0].info["sizes"] == {"train": 14, "val": 2, "test": 4}
    assert splits[0].info["digest"] == splits[1].info["digest"] != splits[2].info["digest"]
    told = load_splits(DataChoice(dataset=f"{package}.parts:told"))
    assert told.info["sizes"] == {"train": 3, "val": 1, "test": 2}
    assert torch.equal(told.val[0].x, parts_of(package).make(2, 1.0).x)


def test_what_other_code_has_processed_is_not_taken(package, tmp_path):
    """PyG keeps what a class has processed when its code changes; here that is an error."""
    choice = DataChoice(dataset=f"{package}.parts:Set", dataset_args={"count": 5})
    load_splits(choice)
    with pytest.raises(ValueError, match=r"datasets/Set holds what other code or arguments of .* made; remove"):
        load_splits(DataChoice(dataset=choice.dataset, dataset_args={"count": 6}))
    edit(tmp_path / package / "helper.py", "FACTOR = 3.00\n")
    with pytest.raises(ValueError, match="datasets/Set holds what other code"):
        load_splits(choice)
    shutil.rmtree("datasets/Set/processed")
    first = load_splits(choice).train[0]
    torch.testing.assert_close(first.y, 3 * first.x + first.pos[:, :1])


def test_what_nobody_knows_the_code_of_is_not_taken(package, tmp_path):
    """A folder that was made before, without this library."""
    parts_of(package).Set("datasets/Set", count=5)
    edit(tmp_path / package / "helper.py", "FACTOR = 3.00\n")
    choice = DataChoice(dataset=f"{package}.parts:Set", dataset_args={"count": 5})
    with pytest.raises(
        ValueError, match=r"datasets/Set/processed was made by code .* that nothing tells of; remove it"
    ):
        load_splits(choice)
    shutil.rmtree("datasets/Set/processed")
    first = load_splits(choice).train[0]
    torch.testing.assert_close(first.y, 3 * first.x + first.pos[:, :1])


def test_what_was_processed_before_an_error_is_known(package, tmp_path):
    """The set of the second split fails, after the first has processed all."""
    parts = tmp_path / package / "parts.py"
    fails = "\n        if split == 'val' and FACTOR == 2:\n            raise RuntimeError('no more')\n"
    parts.write_text(PARTS.replace("        self.count = count\n", f"        self.count = count{fails}"))
    choice = DataChoice(dataset=f"{package}.parts:Set", dataset_args={"count": 5})
    with pytest.raises(RuntimeError, match="no more"):
        load_splits(choice)
    assert Path("datasets/Set/processed/val.pt").exists()
    edit(tmp_path / package / "helper.py", "FACTOR = 3.00\n")
    with pytest.raises(ValueError, match="datasets/Set holds what other code"):
        load_splits(choice)


def test_python_recipe_and_command_line_do_the_same(package, capsys):
    python = compare(Comparison(**settings(package)), progress=False)
    values = settings(package, out="recipe")
    tables = {name: values.pop(name) for name in ("dataset_args", "task_args")}
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    Path("recipe.toml").write_text("\n".join(lines))
    assert main(["compare", "--recipe=recipe.toml"]) == 0
    words = f"compare --dataset {package}.parts:listed --data-args count=24 --task {package}.parts:Squared"
    words += f" --task-args strength=2.0 --models {package}.parts:Model --epochs 2 --batch-size 4 --accelerator cpu"
    assert main([*words.split(), "--out", "words"]) == 0
    capsys.readouterr()
    found = [json.loads(Path(out, "results.json").read_text()) for out in ("python", "recipe", "words")]
    errors = [result["runs"][0]["test"]["per_sample"] for result in found]
    assert errors[0] == errors[1] == errors[2] == python["runs"][0]["test"]["per_sample"]
    assert len(errors[0]) == 5
    losses = [[row["loss"] for row in result["runs"][0]["history"]] for result in found]
    assert losses[0] == losses[1] == losses[2]
    assert found[0]["data"]["task"] == {"name": f"{package}.parts:Squared", "strength": 2.0}


@pytest.mark.parametrize("file", ["parts.py", "helper.py"])
def test_changed_code_is_another_run(package, tmp_path, file):
    """The user's file, and a file beside it that it imports."""
    comparison = Comparison(**settings(package, dataset=f"{package}.parts:Set", dataset_args={}))
    compare(comparison, progress=False)
    before = Path("python/results.json").stat().st_mtime_ns
    path = tmp_path / package / file
    edit(path, path.read_text() + "\n# another version\n")
    with pytest.raises(ValueError, match="holds what other code"):
        compare(comparison, progress=False)
    for left in Path("datasets/Set").rglob("*"):
        if left.is_file():
            left.unlink()
    with pytest.raises(ValueError, match=rf"holds another run .*code of {package}\.parts:Model="):
        compare(comparison, progress=False)
    assert Path("python/results.json").stat().st_mtime_ns == before


def test_changed_code_of_an_optimizer_is_another_run(package, tmp_path):
    (tmp_path / package / "stepping.py").write_text("from .parts import steps\n")
    comparison = Comparison(**settings(package, models=["graph-sage"], optimizer=f"{package}.stepping:steps", lr=1e-3))
    compare(comparison, progress=False)
    path = tmp_path / package / "stepping.py"
    edit(path, path.read_text() + "# another version\n")
    with pytest.raises(ValueError, match=rf"holds another run .*code of {package}\.stepping:steps="):
        compare(comparison, progress=False)


def test_code_that_a_file_names_is_imported_on_request_only(package, capsys):
    """A task that a checkpoint names is a user's code: evaluate and predict import it when told to trust it."""
    compare(Comparison(**settings(package, models=["graph-sage"], overrides={})), progress=False)
    words = ["evaluate", "--checkpoint", "python/graph-sage/seed0/best.safetensors", "--accelerator", "cpu"]
    words += ["--dataset", f"{package}.parts:listed", "--data-args", "count=24"]
    sys.modules.pop(f"{package}.parts")
    assert main(words) == 2
    assert f"names a task '{package}.parts:Squared' that is not of this library" in capsys.readouterr().err
    assert main([*words, "--trust-import"]) == 0
