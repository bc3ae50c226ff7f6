"""``make_optimizer``: which parameters an optimiser steps, and at which multiple of the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch_geometric.nn import Linear

from ..recipe import FitRecipe
from ..resolve import resolve
from .muon import Muon

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adamw": AdamW, "muon": Muon}

SCALARS = ("mask", "gate", "balance", "temperature", "metric")
"""What a parameter, or the layer that holds it, is called where it makes a width or a balance instead of features."""


def optimizer_of(recipe: FitRecipe, model: nn.Module) -> Optimizer:
    """:func:`make_optimizer` as a recipe has it."""
    recipe = recipe.for_model("")
    assert recipe.lr is not None
    assert recipe.weight_decay is not None
    rates = {"lr_rest": recipe.lr_rest, "lr_scalars": recipe.lr_scalars}
    return make_optimizer(model, recipe.optimizer, recipe.lr, recipe.weight_decay, **rates)


def make_optimizer(
    model: nn.Module, name: str, lr: float, weight_decay: float, *, lr_rest: float = 0.5, lr_scalars: float = 1.0
) -> Optimizer:
    """The optimiser called ``name`` for the trained parameters of ``model``.

    Every group has its multiple of the rate in ``lr_factor``: "muon" gives 1 to :func:`hidden_matrices` and
    ``lr_rest`` to all else; soft masks with their metrics, gates and temperatures (:data:`SCALARS`) get ``lr_scalars``
    times theirs.

    Args:
        name: "adamw", "muon", or "package.module:Class" of a user's own, called as
            ``Class(groups, lr=lr, weight_decay=weight_decay)``.

    Raises:
        ValueError: for an unknown name, what does not make an optimiser, or a model without parameters to train.
    """
    make = resolve(name, OPTIMIZERS, "optimizer")
    named = {key: weight for key, weight in model.named_parameters() if weight.requires_grad}
    if not named:
        raise ValueError("the model has no parameters that require gradients; nothing can be trained")
    hidden = {id(weight) for weight in hidden_matrices(model)} if make is Muon else set()
    parts: dict[tuple[bool, bool], list[Tensor]] = {}
    for key, weight in named.items():
        # One group where all have one rate: the order of parameters is that in which norms are added up for clipping.
        scalar = lr_scalars != 1 and id(weight) not in hidden and not set(SCALARS).isdisjoint(key.split(".")[-2:])
        parts.setdefault((id(weight) in hidden, scalar), []).append(weight)
    groups: list[dict[str, Any]] = []
    for (matrices, scalar), weights in parts.items():
        factor = (lr_rest if make is Muon and not matrices else 1.0) * (lr_scalars if scalar else 1.0)
        own = {"matrices": matrices} if make is Muon else {}
        groups.append({"params": weights, "lr": lr * factor, "lr_factor": factor, **own})
    try:
        made = make(groups, lr=lr, weight_decay=weight_decay)
    except TypeError as error:
        raise ValueError(
            f"optimizer {name!r} cannot be called as Class(groups, lr=..., weight_decay=...): {error}"
        ) from error
    if not isinstance(made, Optimizer):
        raise ValueError(f"optimizer {name!r} makes a {type(made).__name__}; a torch.optim.Optimizer is needed")
    return made


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """Weights of linear layers in what is repeated (a ``ModuleList``: blocks, message-passing steps), outside encoders
    and decoders: those that map hidden features to hidden features."""
    found: dict[int, Tensor] = {}
    for name, part in model.named_modules():
        above = name.split(".")
        if not isinstance(part, nn.ModuleList) or any(word.endswith(("encoder", "decoder")) for word in above):
            continue
        for layer in part.modules():
            if isinstance(layer, (nn.Linear, Linear)) and isinstance(layer.weight, nn.Parameter):
                weight = layer.weight
                if weight.requires_grad and weight.dim() == 2 and not weight.is_complex():
                    found[id(weight)] = weight
    return list(found.values())


def set_rate(optimizer: Optimizer, lr: float, beta1: float) -> None:
    """Give each group its multiple of ``lr``; AdamW's momentum follows the cycle, that of others stays."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_factor", 1.0)
        if type(optimizer) is torch.optim.AdamW:
            group["betas"] = (beta1, group["betas"][1])
