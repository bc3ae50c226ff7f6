"""What a run will take is told from two of its steps, which leave no trace."""

from __future__ import annotations

import pytest
import torch
from toy import toy_run

from pyg_neuralops.engine import SteadyField, fit
from pyg_neuralops.engine.estimate import Estimate, estimate
from pyg_neuralops.engine.machine import make_fabric
from pyg_neuralops.engine.ranks import Ranks
from pyg_neuralops.recipe import FitRecipe


def expected(recipe, **loader):
    model, train, _ = toy_run(**loader)
    return estimate(model, train, SteadyField(), recipe, Ranks(make_fabric(recipe)))


def test_steps_and_seconds_are_those_of_the_budget(tmp_path):
    found = expected(FitRecipe(epochs=50, accelerator="cpu"))
    assert found.steps == 50 * 6
    assert found.parameters == sum(weight.numel() for weight in toy_run()[0].parameters())
    assert found.seconds == pytest.approx(300 * found.step_seconds)
    done = fit(*toy_run(), out=tmp_path, epochs=50, accelerator="cpu")
    assert 0.1 < done.seconds / found.seconds < 10
    assert expected(FitRecipe(steps=7, accelerator="cpu")).steps == 7
    limited = expected(FitRecipe(seconds=3.0, accelerator="cpu"))
    assert limited.seconds == 3
    assert limited.steps == pytest.approx(3 / limited.step_seconds, abs=1)


def test_one_batch_is_enough():
    assert expected(FitRecipe(epochs=2, accelerator="cpu"), batch_size=24).steps == 2


def test_model_and_random_state_stay():
    model, train, _ = toy_run()
    before, state = [weight.clone() for weight in model.parameters()], torch.get_rng_state()
    recipe = FitRecipe(epochs=1, accelerator="cpu")
    estimate(model, train, SteadyField(), recipe, Ranks(make_fabric(recipe)))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, two) for one, two in zip(before, model.parameters(), strict=True))


def test_it_is_told_in_words():
    found = Estimate(83713, 0.114, 1440, 164.2, 900 * 2**20)
    assert str(found) == "83,713 parameters; about 1,440 steps of 0.11 s, 2.7 min of training, 0.88 GiB at the peak"
    assert "; about 3 steps of 2 s, 6 s of training" in str(Estimate(1, 2.0, 3, 6.0, 0))
    assert "2.0 h of training" in str(Estimate(1, 2.0, 3600, 7200.0, 0))
