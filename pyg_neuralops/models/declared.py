"""``declared_shapes``: the weights that a model would have, without making them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from .registry import build_model

FOREIGN = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""What settings of any content can raise."""


def declared_shapes(name: str, config: Mapping[str, Any], most: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the state of model ``name``, built on torch's meta device: no memory is taken.

    Args:
        name: of ``MODELS``. config: its arguments, from a file that need not be trusted.
        most: entries of state that are expected; a model of many more is given up while it is being built.

    Raises:
        ValueError: if the settings make no model, or one with far more layers.
    """
    made = 0

    def count(*_: Any) -> None:
        nonlocal made
        made += 1
        if made > 16 * most + 256:
            raise ValueError(f"its settings ask for far more layers than it has weights ({most})")

    hooks = [register_module_module_registration_hook(count), register_module_parameter_registration_hook(count)]
    try:
        with torch.device("meta"):
            model: nn.Module = build_model(name, **config)
    except FOREIGN as error:
        raise ValueError(f"its settings make no model ({type(error).__name__}: {error})") from None
    finally:
        for hook in hooks:
            hook.remove()
    return {key: tuple(value.shape) for key, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
