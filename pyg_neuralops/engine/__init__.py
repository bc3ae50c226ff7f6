"""Training and evaluation; a model and its loaders are handed in, nothing is built here."""

from ..recipe import FitRecipe
from .evaluate import Scores, collect, evaluate, joined, predict
from .fit import FitResult, fit
from .graph_value import GraphValue
from .loggers import make_logger
from .memory import peak_memory, reset_peak_memory
from .next_frame import NextFrame
from .rollout import Rollout, rollout
from .schedule import OneCycle
from .steady_gradient import SteadyGradient
from .task import SteadyField, Task, selecting
from .tasks import TASKS, make_task, task_of
from .time_query import TimeQuery

__all__ = [
    "TASKS",
    "FitRecipe",
    "FitResult",
    "GraphValue",
    "NextFrame",
    "OneCycle",
    "Rollout",
    "Scores",
    "SteadyField",
    "SteadyGradient",
    "Task",
    "TimeQuery",
    "collect",
    "evaluate",
    "fit",
    "joined",
    "make_logger",
    "make_task",
    "peak_memory",
    "predict",
    "reset_peak_memory",
    "rollout",
    "selecting",
    "task_of",
]
