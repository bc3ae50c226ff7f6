import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from pyg_neuralops.checkpoint import load_info, load_model, save_model, start_from
from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_grid, random_mesh


def trained(name="la2former", **kwargs):
    torch.manual_seed(0)
    samples = [random_grid((5, 5), seed=s) if name == "fno" else random_mesh(25, seed=s) for s in range(3)]
    kwargs = {"hidden_channels": 16, **kwargs}
    return normalized(build_model(name, in_channels=2, out_channels=1, **kwargs), samples), samples[0]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_from_its_file_alone(name, tmp_path):
    model, data = trained(name, num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model, {"note": "x"})
    torch.testing.assert_close(load_model(path)(data), model(data), rtol=0, atol=0)
    assert load_info(path)["note"] == "x"
    assert load_info(path)["model"] == name


def test_settings_and_precision_come_back(tmp_path):
    model, data = trained(num_layers=1, patches=7, soft_mask="layer", direction=True, fusion="gate", global_="galerkin")
    model, data = model.double(), data.clone()
    data.x, data.pos = data.x.double(), data.pos.double()
    again = load_model(save_model(tmp_path / "m.safetensors", model))
    assert again.model.config == model.model.config
    torch.testing.assert_close(again(data), model(data), rtol=0, atol=0)


def test_foreign_classes_are_imported_only_when_trusted(tmp_path, monkeypatch):
    (tmp_path / "users_model.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Mine(nn.Module):\n"
        "    def __init__(self, in_channels, out_channels, pos_dim, hidden_channels=8):\n"
        "        super().__init__()\n"
        "        self.net = nn.Linear(in_channels + pos_dim, out_channels)\n"
        "    def forward(self, data):\n"
        "        return self.net(torch.cat([data.x, data.pos], 1))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model, data = trained("users_model:Mine")
    path = save_model(tmp_path / "m.safetensors", model)
    with pytest.raises(ValueError, match="trust_import"):
        load_model(path)
    torch.testing.assert_close(load_model(path, trust_import=True)(data), model(data), rtol=0, atol=0)


def test_truncated_foreign_and_mismatched_files_are_named(tmp_path):
    model, _ = trained(num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model)
    with pytest.raises(FileNotFoundError, match="nothing"):
        load_model(tmp_path / "nothing")
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="truncated or foreign"):
        load_model(tmp_path / "cut")
    torch.save({"a": 1}, tmp_path / "pickle")
    with pytest.raises(ValueError, match="truncated or foreign"):
        load_model(tmp_path / "pickle")
    save_file({"a": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(ValueError, match="format=None"):
        load_model(tmp_path / "other")
    with safe_open(path, "pt") as file:
        meta, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    meta["config"] = json.dumps({**json.loads(meta["config"]), "hidden_channels": 32})
    save_file(tensors, tmp_path / "wide", meta)
    with pytest.raises(ValueError, match="does not fit"):
        load_model(tmp_path / "wide")
    meta["model"] = "mystery"
    save_file(tensors, tmp_path / "mystery", meta)
    with pytest.raises(ValueError, match="mystery"):
        load_model(tmp_path / "mystery")


def test_a_failed_save_leaves_the_old_file(tmp_path):
    model, _ = trained(num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_model(path, model, {"note": object()})
    with pytest.raises(ValueError, match="Linear"):
        save_model(path, nn.Linear(2, 2))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write"):
        save_model(tmp_path / "file" / "m.safetensors", model)


@pytest.mark.parametrize("name", ["la2former", "mesh-graph-net"])
def test_training_starts_from_a_checkpoint(name, tmp_path):
    model, data = trained(name, num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model)

    def fresh(**kwargs):
        torch.manual_seed(1)
        sizes = {"in_channels": 2, "out_channels": 1, "hidden_channels": 16, "num_layers": 1}
        return build_model(name, **{**sizes, **kwargs})

    torch.testing.assert_close(start_from(fresh(), path)(data), model.model(data), rtol=0, atol=0)
    with pytest.raises(ValueError, match="replace the encoder"):
        start_from(fresh(in_channels=3), path)
    other = fresh(in_channels=3, out_channels=4)
    mine = {key: value.clone() for key, value in other.state_dict().items()}
    start_from(other, path, ["encoder", "decoder"])
    for key, value in other.state_dict().items():
        replaced = key.split(".")[0].endswith(("encoder", "decoder"))
        assert torch.equal(value, mine[key] if replaced else model.model.state_dict()[key])
    with pytest.raises(ValueError, match="needs"):
        start_from(fresh(hidden_channels=32), path, ["encoder", "decoder"])
    with pytest.raises(ValueError, match="choose from"):
        start_from(fresh(), path, ["blocks"])
    with pytest.raises(ValueError, match="this one is 'graph-sage'"):
        start_from(build_model("graph-sage", in_channels=2, out_channels=1), path)
