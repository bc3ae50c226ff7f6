import json
from pathlib import Path

import pytest
import torch
from torch import nn

from pyg_neuralops.checkpoint import load_model, save_model
from pyg_neuralops.cli import main
from pyg_neuralops.data import mesh_loader, write_hdf5
from pyg_neuralops.data.digest import content_digest
from pyg_neuralops.data.weights_file import load_weights, save_weights
from pyg_neuralops.engine import NextFrame, TimeQuery, make_task
from pyg_neuralops.engine.identity import differences, identity
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.residual import Residual
from pyg_neuralops.testing import assert_batch_invariant, random_mesh

OLD = Path(__file__).parent / "data_files" / "la2former-patches-1.safetensors"
LAST = {"field": "x", "columns": [-1]}


class Zero(nn.Module):
    """Says nothing, of any number of channels."""

    def __init__(self, channels=1):
        super().__init__()
        self.channels = channels

    def forward(self, data):
        return data.x.new_zeros(data.num_nodes, self.channels)


def meshes():
    return [random_mesh(20 + seed, seed=seed) for seed in range(3)]


def fitted(samples, residual, seed=0):
    torch.manual_seed(seed)
    inner = build_model("lrsa", in_channels=2, out_channels=1, hidden_channels=16, num_layers=1)
    return normalized(inner, samples, residual=residual)


def test_a_network_that_says_nothing_predicts_the_mean_change():
    samples = meshes()
    change = torch.cat([sample.y - sample.x[:, 1:] for sample in samples])
    model = normalized(Zero(), samples, residual=LAST)
    torch.testing.assert_close(model.y.mean, change.mean(0))
    torch.testing.assert_close(model.y.std, change.std(0, correction=0))
    torch.testing.assert_close(model(samples[1]), samples[1].x[:, 1:] + change.mean(0))


def test_channels_may_have_a_base_each_or_none_and_positions_are_one():
    samples = meshes()
    for sample in samples:
        sample.y = torch.cat([sample.pos + 3, sample.y], 1)
    model = normalized(Zero(3), samples, residual={"field": "pos", "columns": [0, 1, None]})
    out, mean = model(samples[0]), torch.cat([sample.y for sample in samples])[:, 2].mean()
    torch.testing.assert_close(out, torch.cat([samples[0].pos + 3, mean.expand(len(out), 1)], 1))


@pytest.mark.parametrize("mode", ["channel", "scalar", "none"])
def test_every_kind_of_normaliser_is_of_the_change(mode):
    samples = meshes()
    for sample in samples:
        sample.y = sample.pos + 3
    model = normalized(Zero(2), samples, y=mode, residual={"field": "pos", "columns": [0, 1]})
    torch.testing.assert_close(model(samples[0]) - samples[0].pos, torch.full((20, 2), 0.0 if mode == "none" else 3.0))


def test_a_change_of_counts_may_be_negative():
    samples = meshes()
    for sample in samples:
        sample.x, sample.y = torch.full_like(sample.x, 9).to(torch.uint8), torch.full_like(sample.y, 2).to(torch.uint8)
    assert torch.equal(
        normalized(Zero(), samples, residual=LAST)(samples[0]), torch.full_like(samples[0].pos, 2)[:, :1]
    )


def test_a_checkpoint_predicts_the_same_by_itself(tmp_path):
    samples = meshes()
    model = fitted(samples, LAST)
    again = load_model(save_model(tmp_path / "m.safetensors", model))
    assert again.residual == Residual("x", (-1,))
    assert torch.equal(again(samples[0]), model(samples[0]))
    assert_batch_invariant(model, samples)


def test_without_it_a_checkpoint_holds_nothing_of_it(tmp_path):
    model = fitted(meshes(), None)
    path = save_model(tmp_path / "m.safetensors", model)
    assert "residual" not in load_weights(path)[1]
    assert load_model(path).residual is None


@pytest.mark.parametrize(
    "text", ["3", '{"field": "x"}', '{"field": 1, "columns": [0]}', '{"field":"x","columns":[0,1]}']
)
def test_a_checkpoint_with_a_wrong_one_names_the_file(tmp_path, text):
    tensors, texts = load_weights(save_model(tmp_path / "m", fitted(meshes(), LAST)))
    save_weights(tmp_path / "foreign", tensors, {**texts, "residual": text})
    with pytest.raises(ValueError, match="foreign"):
        load_model(tmp_path / "foreign")


def test_a_checkpoint_from_before_loads_its_own_tensors_and_no_residual():
    model = load_model(OLD)
    assert model.residual is None
    tensors, texts = load_weights(OLD)
    assert "residual" not in texts
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())


def test_gradients_flow_through_the_base():
    samples = meshes()
    model = normalized(Zero(), samples, residual=LAST)
    sample = samples[0].clone()
    sample.x = sample.x.requires_grad_()
    model(sample).sum().backward()
    expected = torch.tensor([0.0, 1.0]).expand_as(sample.x)
    assert torch.equal(sample.x.grad, expected)


@pytest.mark.parametrize(
    ("residual", "message"),
    [
        ({"field": "height", "columns": [0]}, "names the field 'height'"),
        ({"field": "x", "columns": [2]}, r"columns \[2\] of x, which has columns -2 to 1"),
        ({"field": "x", "columns": [-3]}, r"columns \[-3\] of x"),
        ({"field": "x", "columns": [0, 1]}, "2 columns for 1 output channels"),
        ({"field": "x", "columns": []}, r"columns=\[\]"),
        ({"field": "x", "columns": [True]}, r"columns=\[True\]"),
        ({"field": "x"}, "'field' and 'columns'"),
    ],
)
def test_wrong_ones_are_named(residual, message):
    with pytest.raises(ValueError, match=message):
        fitted(meshes(), residual)


def test_the_data_of_a_prediction_must_have_the_field():
    samples = meshes()
    for sample in samples:
        sample.height = torch.ones_like(sample.y)
    model = fitted(samples, {"field": "height", "columns": [0]})
    with pytest.raises(ValueError, match="names the field 'height'"):
        model(random_mesh(20))


def test_next_frame_starts_from_the_last_frame_behind_static_fields():
    samples = [random_mesh(20, in_channels=4, seed=seed) for seed in range(2)]
    for sample in samples:
        sample.y, sample.wall = torch.cat([sample.x[:, 2:] + 1, sample.x[:, 2:] + 2], 1), torch.ones(20, 1)
    task = make_task("next-frame", channels=2, static=["wall"], residual=True)
    model = normalized(Zero(2), task.items(samples), residual=task.residual)
    torch.testing.assert_close(task.answer(model, samples[0]), samples[0].y)


def test_time_query_starts_from_a_field_at_every_time():
    samples = meshes()
    for sample in samples:
        sample.y = torch.cat([sample.pos + 1, sample.pos + 3], 1)
    task = make_task("time-query", times=2, residual={"field": "pos", "columns": [0, 1]})
    model = normalized(Zero(2), task.items(samples), residual=task.residual)
    torch.testing.assert_close(task.answer(model, samples[0]), torch.cat([samples[0].pos + 2] * 2, 1))


def test_the_command_line_trains_it_and_the_checkpoint_predicts_by_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    samples = [random_mesh(20, in_channels=2, seed=seed) for seed in range(8)]
    for sample in samples:
        sample.y = torch.cat([sample.x[:, 1:] + 1, sample.x[:, 1:] + 2], 1)
    write_hdf5("films.h5", samples)
    words = "train --dataset films.h5 --task next-frame --task-args residual=true --model graph-sage --epochs 1"
    assert main([*words.split(), "--hidden-channels", "8", "--num-layers", "1", "--accelerator", "cpu"]) == 0
    model = load_model("runs/train/best.safetensors")
    assert model.residual == Residual("x", (-1,))
    torch.testing.assert_close(model.y.mean, torch.ones(1))
    assert main(["evaluate", "--checkpoint", "runs/train/best.safetensors", "--dataset", "films.h5"]) == 0


def test_runs_with_and_without_are_other_runs_and_the_default_is_the_earlier_task():
    samples, loader = meshes(), mesh_loader(meshes(), 2)
    ways = [(NextFrame(), None), (NextFrame(residual=True), LAST)]
    settings = {"optimizer": "adamw"}
    one, two = (identity(fitted(samples, way), task, loader, None, settings) for task, way in ways)
    assert "residual" in differences(one, two)
    assert json.loads(two["settings"]["residual"]) == LAST
    assert set(vars(NextFrame())) == {"channels", "frames", "static"}
    assert set(vars(TimeQuery(times=2))) == {"times", "each_time"}
    assert content_digest(NextFrame()) != content_digest(NextFrame(residual=True))
