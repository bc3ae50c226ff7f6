"""``Recipe`` of one run as :func:`pyg_neuralops.engine.fit` needs it; plain Python, without torch."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

if TYPE_CHECKING:
    from typing_extensions import Self

from .typed import Range, typed

Count = Annotated[int, Range(1, 2**31 - 1)]
Positive = Annotated[float, Range(0, open=True)]
Part = Annotated[float, Range(0, 1, open=True)]
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]

BUDGETS = ("epochs", "steps", "seconds")
MACHINE = ("accelerator", "devices", "num_nodes", "strategy", "accumulate")
"""Fields that say where and in which parts a run computes, and are no part of what it comes to."""
DEFAULTS = {"muon": {"lr": 8e-3, "weight_decay": 0.1}, "adamw": {"lr": 1e-3, "weight_decay": 1e-5}}
"""By optimizer: Muon's after ``benchmarks/minutes.py``; AdamW's, and one's own, of the standard benchmarks' scripts."""
ATTENTION = (
    "la2former",
    "la2former-local",
    "la2former-global",
    "la2former-lrsa",
    "galerkin-transformer",
    "transformer",
)
FAMILIES: dict[str, dict[str, float]] = {name: {"lr": 1.6e-2} for name in ATTENTION}
FAMILIES |= {name: {"clip": 1.0} for name in ("lrsa", "flare", "lno")}
"""What models are trained with otherwise than others by Muon: ``benchmarks/minutes.py`` tuned la2former, lrsa and
mesh-graph-net, and the other models of each family have the same."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of all settings: every field is checked against its annotation when an object is made.

    Raises:
        ValueError: for a value that is of another kind, or out of range: "epochs='3'; an integer is needed".
    """

    def __post_init__(self) -> None:
        hints = hints_of(type(self))
        for item in dataclasses.fields(self):
            object.__setattr__(self, item.name, typed(getattr(self, item.name), hints[item.name], item.name))


def hints_of(cls: type) -> dict[str, Any]:
    """Annotations of all fields of a dataclass, with their ranges."""
    return typing.get_type_hints(cls, include_extras=True)


@dataclass(frozen=True, kw_only=True)
class FitRecipe(Settings):
    """How weights are trained. The defaults are for budgets of minutes (``benchmarks/minutes.py``).

    Raises:
        ValueError: for a value out of range, or unless exactly one budget is given.
    """

    epochs: Count | None = None
    """Budget in epochs ..."""
    steps: Count | None = None
    """... or in steps of the optimizer ..."""
    seconds: Positive | None = None
    """... or in seconds of pure training a run."""
    optimizer: str = "muon"
    """muon (matrices of blocks and steps by Muon, the rest by AdamW); adamw; or package.module:Class of your own."""
    lr: Positive | None = None
    """Peak of the one-cycle learning rate; by default what fits the optimizer and the family of models."""
    lr_rest: Positive = 0.5
    """Of what Muon leaves to AdamW, as a multiple of lr."""
    lr_scalars: Positive = 1.0
    """Of soft masks with their metrics, gates and temperatures, as a multiple of what they would have."""
    weight_decay: Annotated[float, Range(0)] | None = None
    """Decoupled from the gradient; by default 0.1 with muon, 1e-5 with adamw."""
    clip: Positive | Literal["auto"] | None = "auto"
    """Largest norm of the gradient, None for any; by default what fits the family of models."""
    pct_start: Part = 0.3
    """Part of the run in which the learning rate rises."""
    div: Positive = 25.0
    """The learning rate starts at its peak over this."""
    ema: Part | None = None
    """Decay of a moving average of the weights, which is then validated and kept."""
    patience: Count | None = None
    """Stop after so many epochs without a better validation error."""
    accumulate: Count = 1
    """Parts that a batch is computed in, one after another, where it does not fit in memory; the step is the same."""
    precision: Literal["32-true", "64-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Of the arithmetic; mixed ones keep weights in 32 bits. 16-mixed needs a GPU."""
    accelerator: Accelerator = "auto"
    """Where to train: on a GPU where there is one, unless it is named."""
    devices: Count | None = None
    """Processes of this machine, a GPU or a core each, that share every batch; those of torchrun, or 1, by default."""
    num_nodes: Count = 1
    """Machines that share every batch, each with as many devices."""
    strategy: Literal["auto", "ddp"] = "auto"
    """How several devices share a batch; both mean data-parallel training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {name: getattr(self, name) for name in BUDGETS}
        if sum(value is not None for value in given.values()) != 1:
            said = ", ".join(f"{name}={value}" for name, value in given.items())
            raise ValueError(f"{said}; give exactly one of them")

    def for_model(self, name: str) -> Self:
        """With values of ``lr``, ``weight_decay`` and ``clip``: where none is given, the optimizer's and, with muon,
        those of the family of the model called ``name``."""
        known: dict[str, Any] = {"clip": 0.1, **DEFAULTS.get(self.optimizer, DEFAULTS["adamw"])}
        known |= FAMILIES.get(name, {}) if self.optimizer == "muon" else {}
        missing = {key: known[key] for key in ("lr", "weight_decay") if getattr(self, key) is None}
        missing |= {"clip": known["clip"]} if self.clip == "auto" else {}
        return dataclasses.replace(self, **missing) if missing else self

    def settings(self) -> dict[str, Any]:
        """What decides what a run comes to, by name."""
        names = (item.name for item in dataclasses.fields(FitRecipe))
        return {name: getattr(self, name) for name in names if name not in MACHINE}
