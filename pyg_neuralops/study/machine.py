"""What this machine can do of what was asked for."""

from __future__ import annotations

import torch

from ..engine.optimizers import OPTIMIZERS
from ..resolve import resolve
from .settings import Recipe


def compute_device(accelerator: str) -> torch.device:
    """Where to compute: "cpu", "gpu" (of any make), "cuda", "mps", or "auto" for the first of them that there is.

    Raises:
        ValueError: if this machine has no such thing; says what it has.
    """
    found = torch.accelerator.current_accelerator(check_available=True)
    there = [] if found is None else ["gpu", found.type]
    if accelerator not in ("auto", "cpu", *there):
        raise ValueError(f"accelerator={accelerator!r}; this machine has {['cpu', *there]}")
    return torch.device("cpu") if found is None or accelerator == "cpu" else found


def check_machine(recipe: Recipe) -> None:
    """Raise unless this machine can train as ``recipe`` says.

    Raises:
        ValueError: for an accelerator that is not there, a precision that needs one, or an optimizer that is not found.
    """
    resolve(recipe.optimizer, OPTIMIZERS, "optimizer")
    device = compute_device(recipe.accelerator)
    if recipe.precision == "16-mixed" and device.type == "cpu":
        raise ValueError("precision='16-mixed' needs a GPU; choose from ['32-true', 'bf16-mixed']")
