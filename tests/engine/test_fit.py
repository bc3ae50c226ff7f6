"""Training: what is optimised, selected, stopped and reported."""

from __future__ import annotations

import copy
import math
import time

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from toy import Toy, toy_run, toy_samples

from pyg_neuralops.checkpoint import load_info, load_model
from pyg_neuralops.data import mesh_loader
from pyg_neuralops.engine import OneCycle, SteadyField, evaluate, fit, predict
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_mesh


def test_training_learns_and_keeps_the_best_weights(tmp_path):
    model, train, val = toy_run()
    before = evaluate(model, val).first.mean()
    result = fit(model, train, val, out=tmp_path, epochs=20, optimizer="adamw", lr=1e-2)
    after = evaluate(model, val).first
    assert after.shape == (8,)
    assert after.mean() < 0.5 * before
    errors = [row["val"] for row in result.history]
    assert result.best_val == min(errors)
    assert result.best_epoch == errors.index(min(errors)) + 1
    torch.testing.assert_close(after.double().mean().item(), result.best_val, rtol=1e-6, atol=0)
    assert not model.training
    loaded = load_model(tmp_path / "best.safetensors", trust_import=True)
    assert torch.equal(evaluate(loaded, val).first, after)
    assert load_info(tmp_path / "best.safetensors")["epoch"] == result.best_epoch


def test_without_validation_the_last_epoch_is_kept(tmp_path):
    model, train, _ = toy_run()
    result = fit(model, train, None, out=tmp_path, epochs=3)
    assert result.best_epoch == 3
    assert result.best_val is None
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)["model"]
    assert all(torch.equal(last[name], value) for name, value in model.state_dict().items())


def test_budget_in_seconds_ends_in_time_and_ends_the_cycle(tmp_path):
    model, train, val = toy_run()
    start = time.perf_counter()
    result = fit(model, train, val, out=tmp_path, seconds=0.5, lr=1e-3, pct_start=0.5)
    assert time.perf_counter() - start < 20
    assert 0.5 <= result.seconds < 1.5
    assert result.history[-1]["lr"] < 1e-4
    assert max(row["lr"] for row in result.history) > 5e-4
    seconds = [row["seconds"] for row in result.history]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("div", [25.0, 1e4])
def test_the_rate_starts_at_its_peak_over_div(tmp_path, div):
    model, train, val = toy_run()
    result = fit(model, train, val, out=tmp_path, epochs=2, lr=1e-3, pct_start=0.9, div=div)
    for epoch, row in enumerate(result.history):  # the last of six batches
        assert row["lr"] == pytest.approx(OneCycle(1e-3, 0.9, div)((epoch + 5 / 6) / 2)[0])


def test_an_epoch_longer_than_the_budget_is_cut_and_validated(tmp_path):
    model, train, val = toy_run(count=4000)
    result = fit(model, train, val, out=tmp_path, seconds=0.2)
    assert len(result.history) == 1
    assert 0 < result.history[0]["batches"] < 1000
    assert result.best_val is not None


def test_node_budget_trains_on_every_batch_of_every_epoch(tmp_path):
    model, train, val = toy_run(max_nodes=30)
    result = fit(model, train, val, out=tmp_path, epochs=6)
    counts = []
    for epoch in range(6):
        train.batch_sampler.sampler.set_epoch(epoch)
        counts.append(len(list(train.batch_sampler)))
    assert [row["batches"] for row in result.history] == counts
    assert len(set(counts)) > 1


def test_seed_fixes_the_run_and_the_callers_random_state_is_left_alone(tmp_path):
    runs = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        model, train, val = toy_run()
        state = torch.get_rng_state()
        runs.append(fit(model, train, val, out=tmp_path / name, epochs=2, seed=seed))
        assert torch.equal(torch.get_rng_state(), state)
    losses = [[row["loss"] for row in run.history] for run in runs]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_average_of_the_weights_is_what_is_validated_and_kept(tmp_path):
    model, train, val = toy_run()
    result = fit(model, train, val, out=tmp_path, epochs=3, ema=0.9, lr=1e-2)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    average = checkpoint["average"]
    raw = [checkpoint["model"][name] for name, _ in model.named_parameters()]
    assert result.best_epoch == 3
    assert all(torch.equal(a, w) for a, w in zip(average, model.parameters(), strict=True))
    assert not any(torch.equal(a, w) for a, w in zip(raw, model.parameters(), strict=True))
    torch.testing.assert_close(evaluate(model, val).first.double().mean().item(), result.best_val, rtol=1e-6, atol=0)


def test_patience_stops(tmp_path):
    model, train, val = toy_run()
    result = fit(model, train, val, out=tmp_path, epochs=50, lr=1e-12, patience=2)
    assert len(result.history) <= result.best_epoch + 2
    assert len(result.history) < 50


def test_divergence_is_a_clear_error(tmp_path):
    model, train, val = toy_run()
    with pytest.raises(FloatingPointError, match=r"the loss became (nan|inf) in epoch 1, batch \d+, at lr"):
        fit(model, train, val, out=tmp_path, epochs=2, lr=1e30, clip=None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give exactly one"),
        ({"epochs": 1, "seconds": 1.0}, "give exactly one"),
        ({"epochs": 0}, "epochs=0; it must be at least 1"),
        ({"seconds": -1.0}, r"seconds=-1\.0; it must be above 0"),
        ({"epochs": 1, "lr": 0.0}, r"lr=0\.0; it must be above 0"),
        ({"epochs": 1, "pct_start": 1.0}, "pct_start=1.0"),
        ({"epochs": 1, "clip": 0.0}, r"clip=0\.0; it must be above 0"),
        ({"epochs": 1, "ema": 1.0}, r"ema=1\.0; it must be below 1"),
    ],
)
def test_bad_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        fit(*toy_run(), out=tmp_path / "run", **settings)


def test_predict_gives_each_sample_its_own_field(tmp_path):
    samples = toy_samples(7)
    model = normalized(Toy(1, 1), samples).eval()
    together = predict(model, mesh_loader(samples, 3))
    assert [len(field) for field in together] == [sample.num_nodes for sample in samples]
    for sample, field in zip(samples, together, strict=True):
        torch.testing.assert_close(field, predict(model, [sample])[0])


def test_nothing_is_printed(tmp_path, capfd):
    fit(*toy_run(), out=tmp_path, epochs=1)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_the_mean_gate_of_every_layer_is_in_the_history(tmp_path):
    train, val = toy_samples(8, 1), toy_samples(4, 2)
    torch.manual_seed(0)
    inner = build_model(
        "la2former", in_channels=1, out_channels=1, hidden_channels=8, num_layers=2, patches=4, fusion="gate"
    )
    train, val = ([inner.prepare(sample) for sample in samples] for samples in (train, val))
    model = normalized(copy.deepcopy(inner), train)
    result = fit(model, mesh_loader(train, 4, shuffle=True), mesh_loader(val, 4), out=tmp_path, epochs=2, lr=1e-2)
    assert set(result.history[0]) >= {"gate0", "gate1"}
    for number, block in enumerate(model.model.blocks):
        last = result.history[-1][f"gate{number}"]
        assert 0 < last < 1
        assert last != result.history[0][f"gate{number}"]
        assert result.best_epoch == 1 or math.isclose(last, float(block.mixer.mean_gate), rel_tol=1e-6)
    head = (tmp_path / "history.csv").read_text().splitlines()[0]
    assert head == "epoch,seconds,batches,lr,loss,val,gate0,gate1"
    model = normalized(inner, train)
    resumed = fit(model, mesh_loader(train, 4, shuffle=True), mesh_loader(val, 4), out=tmp_path, epochs=2, lr=1e-2)
    assert resumed.history == result.history


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed"])
@pytest.mark.parametrize("name", ["la2former", "graph-unet", "mesh-graph-net"])
def test_every_precision_that_is_accepted_trains_and_comes_back(tmp_path, name, precision):
    samples = [random_mesh(30, seed=seed) for seed in range(4)]
    torch.manual_seed(0)
    inner = build_model(name, in_channels=2, out_channels=1, hidden_channels=16, num_layers=2)
    model = normalized(inner, samples)
    loader = mesh_loader(samples, 2)
    result = fit(model, loader, loader, out=tmp_path, epochs=2, precision=precision, accelerator="cpu")
    assert all(math.isfinite(row["loss"]) for row in result.history)
    again = load_model(tmp_path / "best.safetensors")
    assert torch.equal(evaluate(again, loader).first, evaluate(model, loader).first)
    error = evaluate(model, loader).first.double().mean().item()
    assert math.isclose(error, result.best_val, rel_tol=2e-2 if "mixed" in precision else 1e-6)


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "8"])
def test_precisions_that_do_not_work_are_refused_with_those_that_do(tmp_path, precision):
    with pytest.raises(ValueError, match=rf"precision='{precision}'; choose from \['32-true'"):
        fit(*toy_run(), out=tmp_path / "run", epochs=1, precision=precision)
    with pytest.raises(ValueError, match="precision='16-mixed' needs a GPU"):
        fit(*toy_run(), out=tmp_path / "run", epochs=1, precision="16-mixed", accelerator="cpu")
    assert not (tmp_path / "run").exists()


class Never(SteadyField):
    """No item has a loss."""

    def loss(self, prediction, item):
        found = super().loss(prediction, item)
        return torch.where(found < 0, found, math.nan)


def test_a_training_set_without_any_loss_is_an_error(tmp_path):
    model, train, _ = toy_run()
    with pytest.raises(ValueError, match="none of the training samples has a loss"):
        fit(model, train, None, out=tmp_path, epochs=1, task=Never())


def test_a_scaler_is_a_runs_own_and_precision_is_that_of_the_fabric(tmp_path):
    fabric = Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))])
    fabric.launch()
    found = [fit(*toy_run(), out=tmp_path / name, epochs=2, precision="16-mixed", fabric=fabric) for name in "ab"]
    assert [row["loss"] for row in found[0].history] == [row["loss"] for row in found[1].history]
    assert found[0].history[1]["loss"] < found[0].history[0]["loss"]
    with pytest.raises(ValueError, match="precision='32-true', but the fabric computes in '16-mixed'"):
        fit(*toy_run(), out=tmp_path / "c", epochs=2, fabric=fabric)


def test_rows_reach_loggers_and_a_callback_can_end_a_run(tmp_path):
    told, called = [], []

    class Told:
        def log_hyperparams(self, params):
            told.append(params["lr"])

        def log_metrics(self, metrics, step):
            told.append((step, metrics))

        def finalize(self, status):
            told.append(status)

    def on_epoch(row):
        called.append(row["epoch"])
        return row["epoch"] == 3

    done = fit(*toy_run(), out=tmp_path, epochs=9, lr=1e-2, loggers=[Told()], on_epoch=on_epoch)
    assert called == [1, 2, 3]
    assert len(done.history) == 3
    assert told[0] == 1e-2
    assert [step for step, _ in told[1:-1]] == [1, 2, 3]
    assert told[1][1]["loss"] == done.history[0]["loss"]
    assert told[-1] == "success"
    again = fit(*toy_run(), out=tmp_path, epochs=9, lr=1e-2)
    assert again.resumed
    assert again.history == done.history


def test_lists_in_place_of_loaders_are_refused_with_the_way():
    model, train, val = toy_run()
    for pair in ((toy_samples(4), val), (train, toy_samples(4))):
        with pytest.raises(ValueError, match=r"_loader is a list; make it with data\.mesh_loader\(samples"):
            fit(model, *pair, out="never", epochs=1)
    assert evaluate(model, toy_samples(3)).first.shape == (3,)
    assert len(predict(model, toy_samples(3))) == 3


def test_what_is_not_a_number_is_named_before_training(tmp_path):
    model, train, val = toy_run()
    val.dataset[5].y[3, 0] = float("nan")
    with pytest.raises(ValueError, match="validation sample 5: y holds nan at row 3, column 0"):
        fit(model, train, val, out=tmp_path / "run", epochs=1)
    assert not (tmp_path / "run").exists()


class Diverged(Toy):
    """Right while it trains; where it is asked for answers, half of the nodes have no number."""

    def core(self, x, mesh):
        found = super().core(x, mesh)
        return found if self.training else torch.where(x > x.median(), torch.nan, found)


class PlainError(SteadyField):
    """A user's own task, whose metric passes NaN on."""

    def metrics(self, answer, sample):
        wrong = (answer - sample.y).abs()[:, 0]
        return {"plain": wrong.new_zeros(sample.num_graphs).index_add(0, sample.batch, wrong)}


class Undefined(SteadyField):
    def metrics(self, answer, sample):
        return {"never": answer.new_full([sample.num_graphs], math.nan)}


def test_answers_that_are_not_numbers_are_not_taken_for_samples_without_error(tmp_path):
    _, train, val = toy_run()
    model = normalized(Diverged(1, 1), toy_samples(24, 1))
    with pytest.raises(FloatingPointError, match="the validation error became inf after epoch 1"):
        fit(model, train, val, task=PlainError(), out=tmp_path / "one", epochs=1)
    model, train, val = toy_run()
    with pytest.raises(ValueError, match=r"none of the 8 validation samples has an error: the metric .* not defined"):
        fit(model, train, val, task=Undefined(), out=tmp_path / "two", epochs=1)
