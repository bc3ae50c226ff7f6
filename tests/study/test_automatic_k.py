"""``k = "auto"`` in the settings of a study."""

import json
from dataclasses import replace

import pytest

from pyg_neuralops.cli.main import main
from pyg_neuralops.models import build_model
from pyg_neuralops.study import Comparison, choose_k, compare
from pyg_neuralops.study import automatic_k as module
from pyg_neuralops.study.data import load_splits
from pyg_neuralops.study.provenance import read_json

OPEN = {"model": "la2former", "hidden_channels": 8, "heads": 2, "patches": {"k": "auto"}}


@pytest.fixture
def automatic(comparison) -> Comparison:
    return replace(comparison, overrides={"narrow": OPEN})


def test_every_seed_gets_the_k_that_was_chosen_on_training_samples(automatic, tmp_path, monkeypatch):
    results = compare(automatic, progress=False)
    found = results["chosen_k"]["narrow"]
    splits, recipe = load_splits(automatic), replace(automatic.recipe("narrow"), epochs=3)
    smallest = min(len(sample.pos) for sample in splits.train)
    kwargs = {name: value for name, value in OPEN.items() if name != "model"} | {"num_layers": 1}
    want = choose_k("la2former", {**kwargs, "patches": smallest}, splits.train, largest=smallest, recipe=recipe)
    assert found["k"] == want.k > 1
    assert [run["config"]["patches"]["k"] for run in results["runs"][2:]] == [want.k] * 2
    assert f"narrow: K = {want.k}, chosen" in (tmp_path / "out" / "table.md").read_text()

    def never(*_, **__):
        raise AssertionError("chosen again")

    with monkeypatch.context() as patch:
        patch.setattr(module, "choose_k", never)
        (tmp_path / "out" / "narrow" / "seed1" / "result.json").unlink()
        again = compare(automatic, progress=False)
        assert again["chosen_k"] == results["chosen_k"]
        assert [run["test"] for run in again["runs"]] == [run["test"] for run in results["runs"]]
        # Models may come and go, and what was chosen for them stays.
        compare(replace(automatic, models=("graph-sage",), overrides={}), progress=False)
        compare(automatic, progress=False)
        with pytest.raises(AssertionError, match="chosen again"):
            compare(replace(automatic, overrides={"narrow": {**OPEN, "heads": 4}}), progress=False)
    kept = read_json(tmp_path / "out" / "comparison.json", of="comparison")
    assert kept["chosen_k"]["narrow"] == json.loads(json.dumps(found))


def test_side_by_side_it_is_the_same(automatic, tmp_path):
    one = compare(automatic, progress=False)
    two = compare(replace(automatic, out=str(tmp_path / "two")), jobs=2, progress=False)
    assert [run["test"] for run in one["runs"]] == [run["test"] for run in two["runs"]]
    assert one["chosen_k"]["narrow"]["masses"] == two["chosen_k"]["narrow"]["masses"]


def test_a_mistake_leaves_no_files(automatic, tmp_path):
    for change in ({"patches": {"k": "auto", "radius": 0.2}}, {"patches": {"k": "most"}}, {"patches": "large"}):
        with pytest.raises(ValueError, match=r"narrow|patches|k="):
            compare(replace(automatic, overrides={"narrow": {**OPEN, **change}}), progress=False)
        assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="study chooses 'auto'"):
        build_model("la2former", in_channels=1, out_channels=1, patches={"k": "auto"})


def test_patience_is_of_the_run_alone(automatic):
    """The short run has no validation samples, without which patience is refused."""
    assert compare(replace(automatic, patience=1), progress=False)["chosen_k"]["narrow"]["k"] > 1


def test_train_chooses_too(mesh_file, tmp_path, capsys, monkeypatch):
    words = (
        f"train --dataset {mesh_file} --model la2former --epochs 1 --batch-size 4 --accelerator cpu --hidden-channels 8"
    )
    given = ["--model-args", "heads=2", 'patches={"k": "auto"}', "--out", str(tmp_path / "run")]
    assert main([*words.split(), *given]) == 0
    result = read_json(tmp_path / "run" / "result.json", of=read_json(tmp_path / "run" / "run.json", of="run"))
    assert 1 < result["config"]["patches"]["k"] <= 22
    assert "K = " in capsys.readouterr().err

    def never(*_, **__):
        raise AssertionError("chosen again")

    monkeypatch.setattr(module, "choose_k", never)  # a run that was begun keeps its K
    (tmp_path / "run" / "result.json").unlink()
    assert main([*words.split(), *given]) == 0
