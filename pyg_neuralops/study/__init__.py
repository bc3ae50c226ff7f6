"""What is compared with what: settings -> runs -> table, figures, JSON.

Names are loaded when they are first asked for, so that the command line can read the settings, and answer a
call for help, without loading torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .settings import Comparison, DataChoice, ModelChoice, Recipe

if TYPE_CHECKING:
    from .baselines import trivial_baselines
    from .comparison import compare
    from .data import Splits, load_splits
    from .k_rule import ChosenK, choose_k
    from .run import train_run

_LAZY = {
    "ChosenK": "k_rule",
    "choose_k": "k_rule",
    "compare": "comparison",
    "train_run": "run",
    "Splits": "data",
    "load_splits": "data",
    "trivial_baselines": "baselines",
}

__all__ = [
    "ChosenK",
    "Comparison",
    "DataChoice",
    "ModelChoice",
    "Recipe",
    "Splits",
    "choose_k",
    "compare",
    "load_splits",
    "train_run",
    "trivial_baselines",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
