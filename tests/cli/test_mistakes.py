"""Wrong command lines: each is answered with one line that names the value, exit code 2, and files as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from pyg_neuralops.cli import main
from pyg_neuralops.data import write_hdf5
from pyg_neuralops.testing import random_mesh

RECIPE = 'dataset = "meshes.h5"\nmodels = ["graph-sage"]\nepochs = 1\n'
FILES = {
    "good.toml": RECIPE,
    "text.toml": RECIPE.replace("epochs = 1", 'epochs = "3"'),
    "real.toml": RECIPE.replace("epochs = 1", "epochs = 1.0"),
    "truth.toml": RECIPE.replace("epochs = 1", "epochs = true"),
    "date.toml": RECIPE.replace("epochs = 1", "epochs = 2026-01-01"),
    "huge.toml": RECIPE.replace("epochs = 1", f"epochs = {10**40}"),
    "digits.toml": RECIPE.replace("epochs = 1", f"epochs = {'9' * 5000}"),
    "letters.toml": RECIPE.replace('["graph-sage"]', '"lrsa"'),
    "number.toml": RECIPE.replace('"graph-sage"', "3"),
    "none.toml": RECIPE.replace('"graph-sage"', ""),
    "twice.toml": RECIPE.replace('"graph-sage"', '"lrsa", "lrsa"'),
    "nan.toml": RECIPE + "lr = nan\n",
    "inf.toml": RECIPE + "lr = inf\n",
    "zero.toml": RECIPE + "lr = 0\n",
    "batch.toml": RECIPE + "batch_size = 0\n",
    "seed.toml": RECIPE + "seed = -1\n",
    "mode.toml": RECIPE + 'normalize_x = "chanel"\n',
    "both.toml": RECIPE + "seconds = 3\n",
    "key.toml": RECIPE + "epoch = 3\n",
    "nodata.toml": 'models = ["lrsa"]\nepochs = 1\n',
    "listdata.toml": 'dataset = ["meshes.h5"]\nepochs = 1\n',
    "args.toml": RECIPE + "dataset_args = 3\n",
    "when.toml": RECIPE + "[dataset_args]\nstart = 2026-01-01\n",
    "over.toml": RECIPE + "[overrides.graph-sage]\nlr = '1'\n",
    "overmodel.toml": RECIPE + "[overrides.graph-sage]\nmodel = 1\n",
    "overwidth.toml": RECIPE + "[overrides.graph-sage]\nhidden_channels = 8.5\n",
    "overname.toml": RECIPE + "[overrides.graph-sag]\nlr = 1.0\n",
    "overtable.toml": RECIPE + "overrides = 1\n",
    "overbudget.toml": RECIPE + "[overrides.graph-sage]\nepochs = 2\n",
    "overkind.toml": RECIPE + "[overrides.graph-sage]\nlabel = 2\n",
    "broken.toml": "epochs = \n",
    "deep.toml": "a = " + "[" * 5000,
}
TABLE = [
    # commands and options
    ("nonsense", "unknown command 'nonsense'; choose from ['data', 'train', 'evaluate', 'predict', 'compare'"),
    ("trian --dataset meshes.h5", "did you mean 'train'?"),
    ("--dataset meshes.h5 train", "unknown command '--dataset'"),
    ("compare --dataset meshes.h5 --epoks 3", "--epoks, 3; did you mean --epochs?"),
    ("compare --dataset meshes.h5 --epochs many", "--epochs=many; {None}|INT is needed"),
    ("compare --dataset meshes.h5 --epochs 1.5", "--epochs=1.5"),
    ("compare --dataset meshes.h5 --epochs 0", "epochs=0; it must be at least 1"),
    ("compare --dataset meshes.h5 --epochs 1 --seconds 2", "give exactly one"),
    ("compare --dataset meshes.h5 --seconds -1", "seconds=-1.0; it must be above 0"),
    ("compare --dataset meshes.h5 --seconds nan", "seconds=nan; a finite number is needed"),
    ("compare --dataset meshes.h5 --lr 0", "lr=0.0; it must be above 0"),
    ("compare --dataset meshes.h5 --batch-size 0", "batch_size=0; it must be at least 1"),
    ("compare --dataset meshes.h5 --ema 1", "ema=1.0; it must be below 1"),
    ("compare --dataset meshes.h5 --seeds 0", "seeds=0; it must be at least 1"),
    ("compare --dataset meshes.h5 --seed -1", "seed=-1; it must be at least 0"),
    ("compare --dataset meshes.h5 --models", "models is empty"),
    ("compare --dataset meshes.h5 --models lrsa lrsa", "models names ['lrsa'] more than once"),
    ("compare --dataset meshes.h5 --models la2formr", "unknown model 'la2formr'; choose from"),
    ("compare --dataset meshes.h5 --models own:Missing", "cannot import model 'own:Missing'"),
    ("compare --dataset meshes.h5 --models json:loads", "'json:loads'"),
    ("compare --dataset meshes.h5 --out taken", "taken is not empty and holds no comparison"),
    ("compare --dataset meshes.h5 --out meshes.h5", "meshes.h5"),
    ("compare --dataset meshes.h5 --protocol papre", "papre"),
    ("compare --dataset meshes.h5 --normalize-x all", "'all'"),
    ("compare --dataset meshes.h5 --precision 99", "'99'"),
    ("compare --dataset meshes.h5 --optimizer mu", "unknown optimizer 'mu'; choose from ['adamw', 'muon']"),
    ("compare --dataset meshes.h5 --optimizer own:Missing", "cannot import optimizer 'own:Missing'"),
    ("compare --dataset meshes.h5 --lr-rest 0", "lr_rest=0.0; it must be above 0"),
    ("compare --dataset meshes.h5 --jobs 0", "jobs=0; it must be at least 1"),
    ("train --dataset meshes.h5 --optimizer mu", "unknown optimizer 'mu'"),
    ("compare --models lrsa", "--dataset"),
    ("compare --dataset nope", "unknown dataset 'nope'; choose from"),
    ("compare --dataset darcie", "did you mean 'darcy'?"),
    ("compare --dataset nope.h5", "no file nope.h5"),
    ("compare --dataset truncated.h5", "truncated.h5"),
    ("compare --dataset nope:Set", "cannot import dataset 'nope:Set'"),
    ("compare --dataset json:decoder", "dataset 'json:decoder' is a module; a class or function is needed"),
    ("compare --dataset meshes.h5 --task nope", "unknown task 'nope'; choose from"),
    ("compare --dataset meshes.h5 --task time-query", "task 'time-query'"),
    ("compare --dataset meshes.h5 --task time-query --task-args times=x", "times='x'"),
    ("compare --dataset meshes.h5 --task-args speed=3", "task 'steady' has no argument ['speed']"),
    ("compare --dataset meshes.h5 --num-samples 3", "a file takes no arguments"),
    # recipe files, in both ways of writing
    ("compare --recipe", "--recipe needs a file"),
    ("compare --recipe=missing.toml", "No such file or directory: missing.toml"),
    ("compare --recipe taken", "taken"),
    ("compare --recipe=text.toml", "text.toml: epochs='3'; an integer is needed"),
    ("compare --recipe real.toml", "real.toml: epochs=1.0; an integer is needed"),
    ("compare --recipe truth.toml", "truth.toml: epochs=True; an integer is needed"),
    ("compare --recipe date.toml", "date.toml: epochs=datetime.date(2026, 1, 1); an integer is needed"),
    ("compare --recipe huge.toml", "it must be at most"),
    ("compare --recipe digits.toml", "digits.toml is not a TOML file"),
    ("compare --recipe letters.toml", "letters.toml: models='lrsa'; a list is needed"),
    ("compare --recipe number.toml", "number.toml: models[0]=3; text is needed"),
    ("compare --recipe none.toml", "none.toml: models is empty"),
    ("compare --recipe twice.toml", "twice.toml: models names ['lrsa'] more than once"),
    ("compare --recipe nan.toml", "nan.toml: lr=nan; a finite number is needed"),
    ("compare --recipe inf.toml", "inf.toml: lr=inf; a finite number is needed"),
    ("compare --recipe zero.toml", "zero.toml: lr=0.0; it must be above 0"),
    ("compare --recipe batch.toml", "batch.toml: batch_size=0"),
    ("compare --recipe seed.toml", "seed.toml: seed=-1"),
    (
        "compare --recipe mode.toml",
        "normalize_x='chanel'; choose from ['channel', 'scalar', 'none']; did you mean 'channel'?",
    ),
    ("compare --recipe both.toml", "both.toml: epochs=1, steps=None, seconds=3.0; give exactly one"),
    ("compare --recipe key.toml", "key.toml has unknown keys ['epoch']; choose from ["),
    ("compare --recipe nodata.toml", "nodata.toml: there is no key 'dataset'"),
    ("compare --recipe listdata.toml", "listdata.toml: dataset=['meshes.h5']; text is needed"),
    ("compare --recipe args.toml", "args.toml: dataset_args=3; a table of names and values is needed"),
    ("compare --recipe when.toml", "dataset_args.start=datetime.date(2026, 1, 1)"),
    ("compare --recipe over.toml", "over.toml: overrides for 'graph-sage': lr='1'; a finite number is needed"),
    ("compare --recipe overmodel.toml", "overrides for 'graph-sage': model=1; text is needed"),
    ("compare --recipe overwidth.toml", "hidden_channels=8.5; an integer is needed"),
    ("compare --recipe overname.toml", "overrides for 'graph-sag', which is not among"),
    ("compare --recipe overtable.toml", "overrides=1; a table"),
    ("compare --recipe overbudget.toml", "change the budget"),
    ("compare --recipe overkind.toml", "label"),
    ("compare --recipe broken.toml", "broken.toml is not a TOML file"),
    ("compare --recipe deep.toml", "deep.toml is"),
    ("compare --recipe utf16.toml", "utf16.toml is not text in UTF-8"),
    ("compare --recipe good.toml --epochs 0", "epochs=0; it must be at least 1"),
    ("compare --recipe good.toml --models lrsa --dataset nope.h5", "no file nope.h5"),
    # train
    ("train --dataset meshes.h5 --out taken", "taken is not empty and holds no run"),
    ("train --dataset meshes.h5 --model-args k", "'k' is not of the form name=value"),
    ("train --dataset meshes.h5 --model graph-sage --model-args depth=3", "depth"),
    ("train --dataset meshes.h5 --model la2former --model-args patches=0", "k=0"),
    ("train --dataset meshes.h5 --model la2former --model-args heads=7", "heads=7"),
    ("train --dataset meshes.h5 --hidden-channels 0", "hidden_channels=0; it must be at least 1"),
    ("train --dataset meshes.h5 --precision 16-mixed --accelerator cpu", "precision='16-mixed' needs a GPU"),
    ("train --dataset meshes.h5 --accelerator gpuu", "gpuu"),
    ("train --dataset meshes.h5 --logger wandbb", "logger 'wandbb'"),
    ("train --dataset meshes.h5 --steps 3 --epochs 2", "epochs=2, steps=3, seconds=None; give exactly one"),
    ("compare --dataset meshes.h5 --devices 2", "a comparison trains each model on one device"),
    ("train --dataset meshes.h5 --accelerator tpu", "tpu"),
    ("train --dataset meshes.h5 --replace encoder", "replace=['encoder'] needs --from"),
    ("train --dataset meshes.h5 --from nope.safetensors", "no file nope.safetensors"),
    ("train --dataset meshes.h5 --workers -1", "workers=-1; it must be at least 0"),
    ("train --dataset one.h5 --model graph-sage", "2 samples are too few to split"),
    # data
    ("data --from taken", "--from needs the name of a dataset"),
    ("data --num-samples 3", "needs the name of a dataset"),
    ("data meshes.h5 --from taken", "--from needs the name of a dataset"),
    ("data darcy --data-args pionts=3", "no argument ['pionts']; choose from"),
    ("data darcy --data-args resolution=x", "resolution='x'; an integer is needed"),
    ("data darcy --num-samples 3 --root new", "num_samples=3; it must be at least 12"),
    ("data darcy --source offical --root new", "source='offical'"),
    ("data darcy darcy", "darcy"),
    ("data own_set:nothing", "cannot import dataset 'own_set:nothing'"),
    ("data own_set:number", "gave a int; a dataset or a list of samples is needed"),
    (
        "data own_set:samples --data-args cuont=3",
        "no argument ['cuont']; choose from ['count', 'scale']; did you mean 'count'?",
    ),
    ("data own_set:samples --data-args count=many", "dataset 'own_set:samples': count='many'; an integer is needed"),
    ("data own_set:samples --root new", "has no argument root"),
    ("data own_set:misnamed", "own_set:misnamed, sample 2: split is 'valid'; choose from ['train', 'val', 'test']"),
    # evaluate, predict
    ("evaluate --dataset meshes.h5 --checkpoint none.safetensors", "no file none.safetensors"),
    ("evaluate --dataset meshes.h5 --checkpoint meshes.h5", "meshes.h5 is not a readable safetensors file"),
    ("evaluate --dataset meshes.h5 --checkpoint run/best.safetensors --split tset", "tset"),
    ("evaluate --dataset meshes.h5 --checkpoint run/best.safetensors --out meshes.h5", "out='meshes.h5'"),
    ("evaluate --dataset inputs.h5 --checkpoint run/best.safetensors --split all", "no target fields y"),
    ("evaluate --dataset tests.h5 --checkpoint run/best.safetensors --split val", "choose from ['test', 'all']"),
    ("evaluate --dataset meshes.h5 --checkpoint run/best.safetensors --task next-frame --task-args channels=x", "'x'"),
    ("predict --checkpoint meshes.h5 --input meshes.h5 --output meshes.h5", "meshes.h5 exists"),
    ("predict --checkpoint run/best.safetensors --input nope.h5 --output out.h5", "no file nope.h5"),
    ("predict --checkpoint run/best.safetensors --input meshes.h5 --output taken --overwrite", "taken is a folder"),
    (
        "predict --checkpoint run/best.safetensors --input meshes.h5 --output run/best.safetensors --overwrite",
        "is the checkpoint",
    ),
    ("predict --checkpoint run/best.safetensors --input meshes.h5 --output o.h5 --picture one.gif", "one.gif"),
    (
        "predict --checkpoint run/best.safetensors --input meshes.h5 --output o.png --picture o.png",
        "o.png is the output",
    ),
    ("predict --checkpoint run/best.safetensors --input meshes.h5 --output o.h5 --sample 99", "sample=99"),
    ("predict --checkpoint run/best.safetensors --input meshes.h5 --output o.h5 --sample -1", "sample=-1"),
    ("predict --checkpoint run/best.safetensors --input meshes.h5 --output o.h5 --batch-size 0", "batch_size=0"),
]
OWN_SET = """
from pyg_neuralops.testing import random_mesh

number = lambda: 3

def samples(count: int = 20, scale: float = 1.0):
    return [random_mesh(10, in_channels=1, seed=seed) for seed in range(count)]

def misnamed():
    found = samples()
    for index, sample in enumerate(found):
        sample.split = "valid" if index == 2 else "train"
    return found
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files right and wrong, a trained model, and what a mistake must not touch."""
    folder = tmp_path_factory.mktemp("mistakes")
    samples = [random_mesh(12, in_channels=1, seed=seed) for seed in range(12)]
    write_hdf5(folder / "meshes.h5", samples)
    write_hdf5(folder / "one.h5", samples[:2])
    for sample in samples:
        sample.split = "test"
    write_hdf5(folder / "tests.h5", samples)
    for sample in samples:
        sample.y = None
    write_hdf5(folder / "inputs.h5", samples)
    whole = (folder / "meshes.h5").read_bytes()
    (folder / "truncated.h5").write_bytes(whole[: len(whole) // 2])
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "utf16.toml").write_bytes(RECIPE.encode("utf-16"))
    (folder / "own_set.py").write_text(OWN_SET)
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.tex").write_text("precious")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = (
            "train --dataset meshes.h5 --model graph-sage --epochs 1 --accelerator cpu --out run --hidden-channels 8"
        )
        assert main(words.split()) == 0
        for name in ("one.h5", "tests.h5", "inputs.h5"):  # caches are no result
            main(["evaluate", "--dataset", name, "--checkpoint", "run/best.safetensors", "--split", "all"])
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("words", "message"), TABLE, ids=[words for words, _ in TABLE])
def test_a_mistake_is_one_line_and_leaves_files_alone(folder, capsys, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    before = contents(folder)
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert len(err) < 1000
    assert "Traceback" not in err
    assert message in err
    assert out == ""
    assert contents(folder) == before


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("command", ["train --model graph-sage --dataset", "compare --dataset"])
def test_an_accelerator_that_is_not_there(folder, capsys, monkeypatch, command):
    monkeypatch.chdir(folder)
    for name in ("gpu", "cuda", "mps"):
        assert main([*command.split(), "meshes.h5", "--accelerator", name, "--out", "new"]) == 2
        assert f"accelerator='{name}'; this machine has ['cpu']" in capsys.readouterr().err
    assert not (folder / "new").exists()
