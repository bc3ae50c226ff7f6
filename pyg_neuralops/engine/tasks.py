"""Tasks by name, as settings and checkpoints write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import typed
from ..resolve import resolve
from .graph_value import GraphValue
from .next_frame import NextFrame
from .steady_gradient import SteadyGradient
from .task import SteadyField, Task
from .time_query import TimeQuery

TASKS: dict[str, Callable[..., Task]] = {
    "steady": SteadyField,
    "steady-gradient": SteadyGradient,
    "next-frame": NextFrame,
    "time-query": TimeQuery,
    "graph-value": GraphValue,
}


def make_task(name: str = "steady", **arguments: Any) -> Task:
    """The task called ``name``, or a user's own by its import path, which is then imported.

    Raises:
        ValueError: for an unknown name or argument; says what there is.
    """
    make = resolve(name, TASKS, "task")
    if not callable(make):
        raise ValueError(f"task {name!r} is a {type(make).__name__}; a class is needed")
    task = make(**typed.arguments(make, arguments, f"task {name!r}"))
    if not isinstance(task, Task):
        raise ValueError(
            f"task {name!r} makes a {type(task).__name__}, which lacks a method of pyg_neuralops.engine.Task"
        )
    return task


def task_of(info: Mapping[str, Any], trust_import: bool = False) -> Task:
    """The task that a checkpoint's provenance names; a steady field where it names none.

    Args:
        info: the entry "data" of :func:`pyg_neuralops.checkpoint.load_info`.
        trust_import: whether a task "package.module:Class" may be imported. Importing runs code that the file chose.

    Raises:
        ValueError: for a task that is not of this library and not trusted, or cannot be made.
    """
    found = info.get("task", {})
    if not isinstance(found, Mapping) or not isinstance(found.get("name", "steady"), str):
        raise ValueError(f"the checkpoint names the task {found!r}; a name with its arguments is needed")
    name = found.get("name", "steady")
    if name not in TASKS and not trust_import:
        raise ValueError(f"the checkpoint names a task {name!r} that is not of this library; trust_import imports it")
    return make_task(**found)
