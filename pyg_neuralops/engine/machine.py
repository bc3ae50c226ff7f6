"""What this machine can do of what was asked for, and the Fabric that does it."""

from __future__ import annotations

import datetime
import os

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy

from ..recipe import FitRecipe
from ..resolve import resolve
from .optimizers import OPTIMIZERS

PATIENCE = datetime.timedelta(hours=4)
"""For which ranks wait for each other: rank 0 may be making data."""


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


def check_machine(recipe: FitRecipe) -> None:
    """Raise unless this machine can train as ``recipe`` says.

    Raises:
        ValueError: for an accelerator that is not there, more GPUs than there are, a precision that needs one, or an
            optimizer that is not found.
    """
    resolve(recipe.optimizer, OPTIMIZERS, "optimizer")
    device = compute_device(recipe.accelerator)
    if recipe.precision == "16-mixed" and device.type == "cpu":
        raise ValueError("precision='16-mixed' needs a GPU; choose from ['32-true', '64-true', 'bf16-mixed']")
    there = torch.accelerator.device_count() if device.type != "cpu" else None
    if there is not None and (recipe.devices or 1) > there:
        raise ValueError(f"devices={recipe.devices}; this machine has {there} of {device.type}")


def make_fabric(recipe: FitRecipe) -> Fabric:
    """Devices and arithmetic as ``recipe`` says; the processes of torchrun where it names no number of devices.

    Raises:
        ValueError: as :func:`check_machine`, and for other processes than those that torchrun has started.
    """
    check_machine(recipe)
    devices, nodes = recipe.devices or 1, recipe.num_nodes
    if torch.distributed.is_torchelastic_launched():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["WORLD_SIZE"]) // local
        if (recipe.devices, nodes) not in ((None, 1), (None, machines), (local, machines)):
            asked = f"devices={recipe.devices}, num_nodes={nodes}"
            raise ValueError(f"{asked}; torchrun has started {local} processes on each of {machines} machines")
        devices, nodes = local, machines
    alone = devices * nodes == 1
    return Fabric(
        accelerator=recipe.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy="auto" if alone else DDPStrategy(timeout=PATIENCE),
        precision=recipe.precision,
        plugins=[LightningEnvironment()]
        if alone
        else None,  # a single process, whatever job of a cluster it is part of
    )
