import copy
import math
import sys

import pytest
import torch
from torch import nn
from toy import toy_run

from pyg_neuralops.data import mesh_loader
from pyg_neuralops.engine import fit, record
from pyg_neuralops.engine.muon import Muon, orthogonalised
from pyg_neuralops.engine.optimizers import hidden_matrices, make_optimizer, set_rate
from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_mesh

METRIC = {"soft_mask": "metric"}
SHAPES = [(6, 6), (12, 6), (6, 12), (6, 6), (1, 7)]


def both(groups):
    """Parameters of ours and equal ones of the reference."""
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape, dtype=torch.double)) for shape in groups]
    return ours, [nn.Parameter(weight.detach().clone()) for weight in ours]


def give_gradients(ours, theirs):
    for one, two in zip(ours, theirs, strict=True):
        one.grad = torch.randn_like(one)
        two.grad = one.grad.clone()


def test_singular_vectors_stay_and_values_come_near_one():
    torch.manual_seed(0)
    matrices = [torch.randn(shape) for shape in SHAPES]
    for before, after in zip(matrices, orthogonalised(matrices), strict=True):
        u, _, vh = torch.linalg.svd(before, full_matrices=False)
        inside = u.mT @ after @ vh.mT
        assert after.shape == before.shape
        torch.testing.assert_close(inside, inside.diagonal().diag(), atol=1e-4, rtol=0)
        assert inside.diagonal().min() > 0.2
        assert inside.diagonal().max() < 1.3


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_scale_of_a_matrix_does_not_matter_and_zero_stays_zero(scale):
    torch.manual_seed(0)
    matrix = torch.randn(5, 3)
    torch.testing.assert_close(orthogonalised([scale * matrix])[0], orthogonalised([matrix])[0])
    assert not orthogonalised([torch.zeros(3, 4)])[0].any()


def test_matrices_of_one_shape_do_not_know_each_other():
    torch.manual_seed(0)
    matrices = [torch.randn(shape) for shape in SHAPES]
    for alone, together in zip(matrices, orthogonalised(matrices), strict=True):
        torch.testing.assert_close(orthogonalised([alone])[0], together)


def test_steps_of_matrices_are_those_of_torch(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())  # torch's rounds there
    ours, theirs = both(SHAPES)
    mine = Muon([{"params": ours, "matrices": True}], lr=6e-3, weight_decay=0.1)
    reference = torch.optim.Muon(theirs, lr=6e-3, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        give_gradients(ours, theirs)
        mine.step()
        reference.step()
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, atol=1e-12, rtol=1e-12)


def test_steps_of_all_else_are_those_of_adamw():
    ours, theirs = both([(3,), (2, 3, 4), ()])
    mine = Muon([{"params": ours}], lr=3e-3, weight_decay=0.1)
    reference = torch.optim.AdamW(theirs, lr=3e-3, weight_decay=0.1)
    for step in range(4):
        give_gradients(ours, theirs)
        if step == 2:
            ours[0].grad = theirs[0].grad = None
        mine.step()
        reference.step()
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, atol=0, rtol=0)


def test_state_comes_back_bit_by_bit():
    ours, theirs = both([*SHAPES, (3,)])

    def made(weights):
        return Muon([{"params": weights[:-1], "matrices": True}, {"params": weights[-1:]}], lr=1e-2)

    first = made(ours)
    give_gradients(ours, theirs)
    first.step()
    second = made(theirs)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for one, two in zip(ours, theirs, strict=True):
        two.data.copy_(one)
    give_gradients(ours, theirs)
    first.step()
    second.step()
    assert all(torch.equal(one, two) for one, two in zip(ours, theirs, strict=True))


def test_only_real_matrices():
    for weight in (torch.zeros(3), torch.zeros(2, 2, dtype=torch.cfloat)):
        with pytest.raises(ValueError, match="Muon takes real matrices only"):
            Muon([{"params": [nn.Parameter(weight)], "matrices": True}])


@pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in sorted(MODELS)), ("la2former", METRIC)])
def test_every_parameter_is_stepped_once_and_ends_of_models_by_adamw(name, settings):
    model = build_model(name, in_channels=2, out_channels=1, pos_dim=2, hidden_channels=16, num_layers=2, **settings)
    optimizer = make_optimizer(model, "muon", 1e-2, 0.0, lr_rest=0.5, lr_scalars=3.0)
    stepped = [id(weight) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(stepped) == sorted(id(weight) for weight in model.parameters() if weight.requires_grad)
    names = {id(weight): key for key, weight in model.named_parameters()}
    hidden = {names[id(weight)] for weight in hidden_matrices(model)}
    assert hidden, "no matrix would be stepped by Muon"
    assert not any(word in key for key in hidden for word in ("encoder", "decoder", "norm", "metric"))
    for group in optimizer.param_groups:
        for weight in group["params"]:
            key = names[id(weight)]
            scalar = key.rpartition(".")[2] in ("mask", "temperature") or "metric" in key
            assert group["lr"] == 1e-2 * (1 if key in hidden else 0.5 * (3 if scalar else 1))
    before = [group["lr"] for group in optimizer.param_groups]
    set_rate(optimizer, 1e-3, 0.9)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate / 10 for rate in before])


@pytest.mark.parametrize("name", sorted(MODELS))
def test_with_one_rate_adamw_is_that_of_all_parameters_in_their_order(name):
    """The order counts: the norm that clips is added up in it."""
    model = build_model(name, in_channels=2, out_channels=1, pos_dim=2, hidden_channels=16, num_layers=2)
    (group,) = make_optimizer(model, "adamw", 1e-3, 0.0).param_groups
    assert [id(weight) for weight in group["params"]] == [id(weight) for weight in model.parameters()]


def test_an_optimiser_of_ones_own_and_wrong_ones(tmp_path, monkeypatch):
    (tmp_path / "own_steps.py").write_text(
        "import torch\n\ndef plain(groups, lr, weight_decay):\n    return torch.optim.SGD(groups, lr=lr)\n\n"
        "def nothing(groups, lr, weight_decay):\n    return None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    model, train, val = toy_run()
    result = fit(model, train, val, out=tmp_path / "run", epochs=2, lr=1e-2, optimizer="own_steps:plain")
    assert all(math.isfinite(row["loss"]) for row in result.history)
    with pytest.raises(ValueError, match="makes a NoneType"):
        fit(*toy_run(), out=tmp_path / "other", epochs=1, optimizer="own_steps:nothing", lr=1e-2)
    with pytest.raises(ValueError, match="optimizer 'json:loads' cannot be called as"):
        fit(*toy_run(), out=tmp_path / "other", epochs=1, optimizer="json:loads")
    with pytest.raises(ValueError, match="'muon'"):
        fit(*toy_run(), out=tmp_path / "other", epochs=1, optimizer="mu")
    for name in ("lr_rest", "lr_scalars"):
        with pytest.raises(ValueError, match=f"{name}=0"):
            fit(*toy_run(), out=tmp_path / "other", epochs=1, **{name: 0})
    frozen = toy_run()
    frozen[0].requires_grad_(False)
    with pytest.raises(ValueError, match="nothing can be trained"):
        fit(*frozen, out=tmp_path / "other", epochs=1)
    assert not (tmp_path / "other").exists()
    sys.modules.pop("own_steps", None)


def test_a_run_with_muon_goes_on_to_the_same_losses(tmp_path, monkeypatch):
    samples = [random_mesh(20, in_channels=1, out_channels=1, seed=seed) for seed in range(6)]

    def run(out):
        torch.manual_seed(0)
        inner = build_model("la2former", in_channels=1, out_channels=1, pos_dim=2, hidden_channels=16, num_layers=1)
        prepared = [inner.prepare(sample) for sample in samples]
        model = normalized(inner, prepared)
        loader = mesh_loader(prepared, 2, shuffle=True)
        return fit(model, loader, None, out=out, epochs=3, lr=6e-3, optimizer="muon", progress=False)

    whole = run(tmp_path / "whole")
    saved = record.Record.settle

    def killed(self):
        saved(self)
        if len(self.history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(record.Record, "settle", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    monkeypatch.undo()
    again = run(tmp_path / "killed")
    assert again.resumed
    assert [row["loss"] for row in again.history] == [row["loss"] for row in whole.history]
