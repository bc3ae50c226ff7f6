"""``check_rebuilt``: that a user's constructor makes the same model again from the arguments that a file keeps."""

from __future__ import annotations

import json
from typing import Any

import torch

from .arguments import constructor
from .base import NeuralOperator
from .external import External
from .registry import build_model


def check_rebuilt(model: NeuralOperator, name: str, config: dict[str, Any]) -> None:
    """Build ``model`` again, and compare what both hold under their arguments' names. No random number is used up.

    Args:
        name, config: what :func:`build_model` is given.

    Raises:
        ValueError: naming the first argument of which the two hold different values.
    """
    with torch.random.fork_rng(devices=[]):
        again = build_model(name, **config)
    there = _arguments(again)
    for argument, value in _arguments(model).items():
        if there[argument] != value:
            raise ValueError(
                f"{name}, built again from a checkpoint, has {argument}={there[argument]}, not {value}: its "
                f"constructor must keep the argument under self.{argument} as it was given, unchanged"
            )


def _arguments(model: NeuralOperator) -> dict[str, str | None]:
    """What a model, or the module that it wraps, holds under its arguments' names, as JSON; None for what is none."""
    if isinstance(model, External):
        config = {name: vars(model.module).get(name) for name in constructor(type(model.module)).known}
    else:
        config = model.config
    found: dict[str, str | None] = {}
    for name, value in config.items():
        try:
            found[name] = json.dumps(value)
        except (TypeError, ValueError):
            found[name] = None
    return found
