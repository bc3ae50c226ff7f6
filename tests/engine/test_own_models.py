"""Users' own modules are trained and come back, or are refused before the first step."""

from __future__ import annotations

import pytest
import torch
from own import Doubled, DoubledOperator, Frequencies, Kept, Lazy, Pointwise, Stateful, Tied
from toy import toy_samples

from pyg_neuralops.checkpoint import load_model, save_model, start_from
from pyg_neuralops.data import mesh_loader
from pyg_neuralops.engine import evaluate, fit
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized


def train(module, out, samples=None):
    samples = toy_samples(8) if samples is None else samples
    model = normalized(module, samples)
    return model, fit(model, mesh_loader(samples, 4), mesh_loader(samples, 4), out=out, epochs=1)


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("Pointwise", {"width": 5}),
        ("PositionalOnly", {"width": 5}),
        ("PositionalOnly", {}),
        ("AnyKeywords", {"width": 5}),
        ("FromConfig", {"config": {"inputs": 1, "outputs": 1}}),
        ("Tied", {}),
    ],
)
def test_constructors_of_all_sorts_train_and_come_back(tmp_path, name, rest):
    torch.manual_seed(0)
    model, result = train(build_model(f"own:{name}", in_channels=1, out_channels=1, **rest), tmp_path)
    again = load_model(tmp_path / "best.safetensors", trust_import=True)
    samples = toy_samples(5, seed=3)
    assert torch.equal(evaluate(again, samples).first, evaluate(model, samples).first)
    assert result.best_val == evaluate(model, mesh_loader(toy_samples(8), 4)).first.double().mean().item()


@pytest.mark.parametrize("module", [Kept, Tied])
def test_an_instance_trains_and_comes_back(tmp_path, module):
    model, _ = train(module(1, 1, width=6), tmp_path)
    again = load_model(tmp_path / "best.safetensors", trust_import=True)
    assert again.model.module.width == 6
    assert torch.equal(again(toy_samples(1)[0]), model(toy_samples(1)[0]))


def test_tied_weights_stay_tied(tmp_path):
    train(Tied(1, 1), tmp_path)
    again = load_model(tmp_path / "best.safetensors", trust_import=True).model.module
    assert again.one.weight is again.two.weight


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pointwise(1, 1), r"Pointwise keeps its argument 'in_channels' under no attribute .* build_model"),
        (lambda: Frequencies(1, 1), "Frequencies keeps its argument"),
        (lambda: build_model("own:Frequencies", in_channels=1, out_channels=1), "predicts something else"),
        (lambda: Lazy(1), r"module\.net\.weight of Lazy has no shape yet; call the model on a sample once"),
        (lambda: Stateful(1, 1), "the extra state of Stateful cannot be written as JSON: the key 1 is no text"),
    ],
)
def test_what_would_not_come_back_is_refused_before_training(tmp_path, make, message):
    module, state = make(), torch.get_rng_state()
    with pytest.raises(ValueError, match=message):
        train(module, tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), state)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("module", [Doubled, DoubledOperator])
def test_an_argument_that_is_kept_changed_is_refused_by_save_model(tmp_path, module):
    name, path = f"own:{module.__name__}", tmp_path / "m.safetensors"
    with pytest.raises(ValueError, match=rf"{name}, built again from a checkpoint, has scale=12.0, not 6.0"):
        save_model(path, normalized(module(1, 1, scale=3.0), toy_samples(2)))
    assert list(tmp_path.iterdir()) == []


def test_remembered_arguments_are_saved_and_must_not_change_later(tmp_path):
    path, sample = tmp_path / "m.safetensors", toy_samples(1)[0]
    model = normalized(build_model("own:Doubled", in_channels=1, out_channels=1, scale=3.0), toy_samples(2))
    state = torch.get_rng_state()
    again = load_model(save_model(path, model), trust_import=True)
    assert again.model.module.scale == 6.0
    assert torch.equal(again(sample), model(sample))
    model.model.module.scale = 7.0
    with pytest.raises(ValueError, match=r"has scale=6.0, not 7.0"):
        save_model(path, model)
    torch.set_rng_state(state)
    save_model(path, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_of_an_own_module_start_one_of_the_same_settings(tmp_path):
    """Defaults count as what they are, whether they were named or not."""
    samples = toy_samples(2)
    sizes = {"in_channels": 1, "out_channels": 1}
    model = normalized(build_model("own:Doubled", **sizes), samples)
    path = save_model(tmp_path / "m.safetensors", model)
    fresh = start_from(build_model("own:Doubled", **sizes, scale=1.0), path)
    assert torch.equal(fresh(samples[0]), model.model(samples[0]))
    with pytest.raises(ValueError, match=r"weights for scale=1.0, not 3.0"):
        start_from(build_model("own:Doubled", **sizes, scale=3.0), path)


def test_a_bug_in_a_constructor_is_shown_as_it_is():
    with pytest.raises(TypeError, match="unsupported operand"):
        build_model("own:Broken", in_channels=1, out_channels=1)


@pytest.mark.parametrize(
    ("name", "rest", "message"),
    [
        (
            "la2former",
            {"kk": 3},
            r"cannot build model 'la2former': no argument 'kk'; choose from \['coords', .*'heads'",
        ),
        (
            "own:Pointwise",
            {"kk": 3},
            r"cannot build model 'own:Pointwise': no argument 'kk'; choose from \['in_channels'",
        ),
        ("own:FromConfig", {}, "cannot build model 'own:FromConfig': no value for its argument 'config'"),
        ("la2fromer", {}, r"unknown model 'la2fromer'; choose from \['fl"),
        ("own:toy_samples", {}, "has no 'toy_samples'"),
        ("toy:toy_samples", {}, r"no class derived from torch\.nn"),
    ],
)
def test_what_cannot_be_built_says_what_can(name, rest, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, in_channels=1, out_channels=1, **rest)


def test_theta_reaches_an_own_module_and_its_checkpoint(tmp_path):
    samples = toy_samples(8)
    for index, sample in enumerate(samples):
        sample.theta = torch.tensor([[float(index), 2.0]])
    model, _ = train(Kept(3, 1), tmp_path, samples)
    again = load_model(tmp_path / "best.safetensors", trust_import=True)
    assert torch.equal(again(samples[0]), model(samples[0]))
    moved = samples[0].clone()
    moved.theta = samples[5].theta
    assert not torch.allclose(again(moved), model(samples[0]))
    with pytest.raises(ValueError, match=r"1 channels of x, 2 of theta, no time: 3 inputs; .* in_channels=1"):
        train(Kept(1, 1), tmp_path / "few", samples)
