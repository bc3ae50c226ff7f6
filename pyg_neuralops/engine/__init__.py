"""Training and evaluation; a model and its loaders are handed in, nothing is built here."""

from .evaluate import evaluate, predict
from .fit import FitResult, fit
from .memory import peak_memory, reset_peak_memory
from .schedule import OneCycle
from .task import SteadyField, Task

__all__ = [
    "FitResult",
    "OneCycle",
    "SteadyField",
    "Task",
    "evaluate",
    "fit",
    "peak_memory",
    "predict",
    "reset_peak_memory",
]
