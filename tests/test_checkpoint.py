import json
import random
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from pyg_neuralops.checkpoint import load_info, load_model, save_model, start_from
from pyg_neuralops.data.weights_file import load_weights, save_weights
from pyg_neuralops.models import MODELS, NeuralOperator, build_model
from pyg_neuralops.normalize import Normalized, normalized
from pyg_neuralops.testing import random_grid, random_mesh


def trained(name="la2former", **kwargs):
    torch.manual_seed(0)
    samples = [random_grid((5, 5), seed=s) if name == "fno" else random_mesh(25, seed=s, wind=True) for s in range(3)]
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
    rewritten(path, tmp_path / "wide", config={"hidden_channels": 32})
    with pytest.raises(ValueError, match="wide does not fit"):
        load_model(tmp_path / "wide")
    rewritten(path, tmp_path / "mystery", model="mystery")
    with pytest.raises(ValueError, match="mystery"):
        load_model(tmp_path / "mystery")


def rewritten(path, target, config=None, **texts):
    """The file of somebody who knows the format: other texts, and digests that are right."""
    tensors, there = load_weights(path)
    there |= texts
    if isinstance(config, str):
        there["config"] = config
    elif config is not None:
        there["config"] = json.dumps({**json.loads(there["config"]), **config})
    save_weights(target, tensors, there)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    model, _ = trained(num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_model(path, model, {"note": object()})
    strange, _ = trained(num_layers=1)
    strange.model.ratio = object()
    with pytest.raises(ValueError, match="the argument 'ratio' of LA2Former cannot be written as JSON"):
        save_model(path, strange)
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


def test_weights_do_not_go_into_a_model_of_other_settings(tmp_path):
    """No weight's shape depends on k or, with a mask of the whole layer, on heads."""
    settings = {"num_layers": 1, "patches": 8, "heads": 2, "soft_mask": "layer"}
    model, data = trained(**settings)
    path = save_model(tmp_path / "m.safetensors", model)
    sizes = {"in_channels": 2, "out_channels": 1, "hidden_channels": 16, **settings}
    fresh = build_model("la2former", **sizes)
    torch.testing.assert_close(start_from(fresh, path)(data), model.model(data), rtol=0, atol=0)
    other = build_model("la2former", **{**sizes, "patches": 4, "heads": 4})
    before = {name: value.clone() for name, value in other.state_dict().items()}
    for replace in ([], ["encoder", "decoder"]):
        with pytest.raises(ValueError, match="has weights for ") as caught:
            start_from(other, path, replace)
        assert "heads=2, not 4" in str(caught.value)
        assert "patches={'k': 8" in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_every_flipped_bit_is_an_error_that_names_the_file(tmp_path):
    model, _ = trained(num_layers=1)
    whole = save_model(tmp_path / "m.safetensors", model, {"note": "x"}).read_bytes()
    header, draw, silent = 8 + int.from_bytes(whole[:8], "little"), random.Random(0), []
    places = [draw.randrange(8 * len(whole)) for _ in range(60)] + [draw.randrange(8 * header) for _ in range(200)]
    for place in places:
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        (tmp_path / "flipped").write_bytes(content)
        try:
            load_model(tmp_path / "flipped")
            silent.append(place)
        except ValueError as error:
            assert str(tmp_path / "flipped") in str(error)  # noqa: PT017
    assert silent == []
    (tmp_path / "flipped").write_bytes(whole)
    assert load_info(tmp_path / "flipped")["note"] == "x"


def test_flipped_provenance_is_seen_without_reading_the_weights(tmp_path):
    model, _ = trained(num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model, {"note": "fine"})
    path.write_bytes(path.read_bytes().replace(b"fine", b"find"))
    with pytest.raises(ValueError, match=r"m\.safetensors is damaged"):
        load_info(path)


def test_files_from_before_digests_load(tmp_path):
    model, data = trained(num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model, {"note": "x"})
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        texts = {name: file.metadata()[name] for name in ("format", "model", "config", "info")}
    save_file(tensors, tmp_path / "old", {**texts, "version": "1"})
    torch.testing.assert_close(load_model(tmp_path / "old")(data), model(data), rtol=0, atol=0)
    assert load_info(tmp_path / "old")["note"] == "x"


@pytest.mark.parametrize(
    "config",
    [
        {"num_layers": 10**9},
        {"hidden_channels": 10**9},
        {"hidden_channels": 10**30},
        {"num_layers": 10**9, "hidden_channels": 10**9},
        {"hidden_channels": "wide"},
        {"num_layers": None},
        {"heads": [1]},
        {"strange": 1},
        {"pos_dim": 40, "coords": "reference-grid"},
    ],
)
def test_settings_that_do_not_go_with_the_weights_are_seen_before_memory_is_taken(tmp_path, config):
    model, _ = trained(num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model)
    rewritten(path, tmp_path / "foreign", config=config)
    with pytest.raises(ValueError, match=r"foreign does not fit the model 'la2former'"):
        load_model(tmp_path / "foreign")


STRANGE = [None, 3.5, -1, "x", [], [1], {}, {"k": "a"}, {"k": 10**30}, {"k": 4, "strange": 1}, {"k": 4, "period": "x"}]
STRANGE += [
    {"k": 4, "metric": metric} for metric in (3, {}, {"name": 3}, "os:system", {"name": "Upwind", "field": [1]})
]


def test_any_value_of_any_argument_loads_or_is_one_error_that_names_the_file(tmp_path):
    model, _ = trained(num_layers=1)
    tensors, texts = load_weights(save_model(tmp_path / "m.safetensors", model))
    config, refused = json.loads(texts["config"]), 0
    for name in [*config, "k", "metric"]:
        for value in STRANGE:
            save_weights(tmp_path / "foreign", tensors, {**texts, "config": json.dumps({**config, name: value})})
            try:
                load_model(tmp_path / "foreign")
            except ValueError as error:
                assert "foreign" in str(error)  # noqa: PT017
                refused += 1
    assert refused > len(STRANGE) * len(config) / 2


def test_sizes_of_other_arguments_are_seen_too(tmp_path):
    model, _ = trained("lno", num_layers=1, num_latents=8)
    path = save_model(tmp_path / "m.safetensors", model)
    for config in ({"mlp_layers": 10**9}, {"num_latents": 10**12}):
        rewritten(path, tmp_path / "foreign", config=config)
        with pytest.raises(ValueError, match="foreign does not fit the model 'lno'"):
            load_model(tmp_path / "foreign")


@pytest.mark.parametrize(
    "texts",
    [
        {"config": "[1]"},
        {"config": "[" * 100_000},
        {"config": "{"},
        {"info": "3"},
        {"info": '{"a":' * 50_000},
        {"state": "[]"},
    ],
)
def test_texts_of_another_kind_are_one_error(tmp_path, texts):
    model, _ = trained(num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model)
    rewritten(path, tmp_path / "foreign", **texts)
    for load in (load_model, load_info) if "state" not in texts else (load_model,):
        with pytest.raises(ValueError, match="foreign is foreign"):
            load(tmp_path / "foreign")


def test_a_file_without_its_texts_is_one_error(tmp_path):
    model, _ = trained(num_layers=1)
    tensors, texts = load_weights(save_model(tmp_path / "m.safetensors", model))
    for name in ("model", "config", "info"):
        save_weights(tmp_path / "short", tensors, {key: value for key, value in texts.items() if key != name})
        with pytest.raises(ValueError, match=f"short is foreign.*{name}"):
            load_model(tmp_path / "short")


class Own(NeuralOperator):
    """Tied, complex, in two precisions, with extra state: what a model of somebody else may be."""

    def __init__(self, in_channels, out_channels, /, pos_dim=2, *, width=4):
        super().__init__()
        self.in_channels, self.out_channels, self.pos_dim, self.width = in_channels, out_channels, pos_dim, width
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.second.weight = self.first.weight
        self.lift = nn.Linear(in_channels, width)
        self.turn = nn.Parameter(torch.randn(width, dtype=torch.complex64))
        self.out = nn.Linear(width, out_channels).double()
        self.register_buffer("part", torch.arange(float(width)))
        self.steps = 0

    def core(self, x, mesh):
        x = self.second(self.first(self.lift(x)).tanh())
        x = torch.view_as_real(x * self.turn).sum(-1) + self.part
        return self.out(x.double()).float() * (1 + self.steps)

    def get_extra_state(self):
        return {"steps": self.steps}

    def set_extra_state(self, state):
        self.steps = state["steps"]


def test_tied_and_complex_weights_and_extra_state_come_back(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "test_checkpoint", sys.modules[Own.__module__])
    monkeypatch.setattr(Own, "__module__", "test_checkpoint")
    data = random_mesh(25)
    torch.manual_seed(0)
    model = normalized(build_model("test_checkpoint:Own", in_channels=2, out_channels=1, width=6), [data])
    model.model.steps = 3
    path = save_model(tmp_path / "m.safetensors", model)
    with safe_open(path, "pt") as file:
        assert sum("weight" in name for name in file.keys()) == 3  # noqa: SIM118
    again = load_model(path, trust_import=True)
    assert again.model.steps == 3
    assert again.model.second.weight is again.model.first.weight
    assert again.model.turn.dtype == torch.complex64
    assert again.model.out.weight.dtype == torch.float64
    assert torch.equal(again(data), model(data))
    for name, value in model.model.named_parameters():
        assert torch.equal(value, again.model.get_parameter(name))


def test_theta_and_time_come_back(tmp_path):
    samples = [random_mesh(25, seed=s) for s in range(3)]
    for index, sample in enumerate(samples):
        sample.theta, sample.time = torch.tensor([[5.0 * index]]), torch.tensor([2.0 + index])
    torch.manual_seed(0)
    inner = build_model("lrsa", in_channels=samples[0].in_channels, out_channels=1, hidden_channels=16, num_layers=1)
    model = normalized(inner, samples)
    again = load_model(save_model(tmp_path / "m.safetensors", model))
    assert torch.equal(again(samples[1]), model(samples[1]))
    with pytest.raises(ValueError, match="the data have no theta"):
        again(random_mesh(25))


def test_starting_from_a_damaged_file_names_it(tmp_path):
    model, _ = trained(num_layers=1)
    path = save_model(tmp_path / "m.safetensors", model)
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.safetensors is damaged"):
        start_from(model.model, path)


def test_models_that_cannot_be_built_again_say_why(tmp_path):
    class Inside(NeuralOperator):
        def __init__(self, in_channels, out_channels):
            super().__init__()
            self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, 2

    with pytest.raises(ValueError, match="defined inside a function"):
        save_model(tmp_path / "m", Inside(1, 1))
    with pytest.raises(ValueError, match=r"Sequential takes a list of arguments, \*args"):
        save_model(tmp_path / "m", nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match=r"Linear keeps its argument 'device' under no attribute"):
        save_model(tmp_path / "m", Normalized(nn.Linear(2, 2)))
    assert list(tmp_path.iterdir()) == []
