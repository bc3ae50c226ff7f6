"""Starting values that several published models share."""

from __future__ import annotations

from torch import nn


def small_linear(module: nn.Module) -> None:
    """For ``Module.apply``: linear weights from N(0, 0.02²), biases zero (Transolver, FLARE)."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
