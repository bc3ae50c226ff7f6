"""What is not given in a recipe is what fits its optimizer, and in studies its family of models."""

from __future__ import annotations

import dataclasses

import pytest

from pyg_neuralops.models import MODELS
from pyg_neuralops.recipe import FAMILIES, FitRecipe
from pyg_neuralops.study import Comparison, Recipe


def test_rates_follow_the_optimizer():
    found = {name: FitRecipe(epochs=1, optimizer=name).for_model("mine") for name in ("muon", "adamw")}
    assert (found["adamw"].lr, found["adamw"].weight_decay) == (1e-3, 1e-5)
    assert (found["muon"].lr, found["muon"].weight_decay) == (8e-3, 0.1)
    assert {recipe.clip for recipe in found.values()} == {0.1}
    assert FitRecipe(epochs=1) == FitRecipe(epochs=1, optimizer="muon")
    own = FitRecipe(epochs=1, optimizer="torch.optim:SGD").for_model("la2former")
    assert (own.lr, own.weight_decay) == (1e-3, 1e-5)
    other = dataclasses.replace(FitRecipe(epochs=1), optimizer="adamw")
    assert other.for_model("mine").lr == 1e-3


def test_what_is_given_stays():
    given = FitRecipe(epochs=1, lr=0.5, weight_decay=0.0, clip=None)
    assert given.for_model("mine") is given
    assert Recipe(epochs=1, lr=0.5).for_model("la2former").lr == 0.5
    assert Recipe(epochs=1, clip=None).for_model("lrsa").clip is None
    assert Recipe(epochs=1, weight_decay=0.0).for_model("la2former").weight_decay == 0


def test_each_family_has_its_rate():
    assert set(FAMILIES) <= set(MODELS)
    found = Comparison(
        dataset="x.h5", epochs=1, models=("la2former", "mine", "gatv2"), overrides={"mine": {"model": "lrsa"}}
    )
    assert found.recipe("la2former").lr == FAMILIES["la2former"]["lr"]
    assert found.recipe("mine").lr == found.recipe("gatv2").lr == FitRecipe(epochs=1).for_model("mine").lr
    assert (found.recipe("mine").clip, found.recipe("gatv2").clip) == (1.0, 0.1)
    plain = dataclasses.replace(found, optimizer="adamw")
    assert plain.recipe("mine").clip == 0.1
    assert {plain.recipe(label).lr for label in plain.models} == {1e-3}


def test_one_budget_is_given():
    for budget in ({}, {"epochs": 1, "steps": 2}, {"steps": 1, "seconds": 1.0}):
        with pytest.raises(ValueError, match="give exactly one of them"):
            FitRecipe(**budget)
