"""Tasks by name, as settings and checkpoints write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import typed
from ..resolve import resolve
from .next_frame import NextFrame
from .steady_gradient import SteadyGradient
from .task import SteadyField, Task
from .time_query import TimeQuery

TASKS: dict[str, Callable[..., Task]] = {
    "steady": SteadyField,
    "steady-gradient": SteadyGradient,
    "next-frame": NextFrame,
    "time-query": TimeQuery,
}


def make_task(name: str = "steady", **arguments: Any) -> Task:
    """The task called ``name``, or a user's own by "package.module:Class".

    Raises:
        ValueError: for an unknown name or argument; says what there is.
    """
    task = resolve(name, TASKS, "task")
    if not callable(task):
        raise ValueError(f"task {name!r} is a {type(task).__name__}; a class is needed")
    return task(**typed.arguments(task, arguments, f"task {name!r}"))


def task_of(info: Mapping[str, Any], *, trust_import: bool = False) -> Task:
    """The task that a checkpoint's provenance names; a steady field where it names none.

    Args:
        info: of :func:`pyg_neuralops.checkpoint.load_info`, its entry "data".
        trust_import: whether a class of a user's own may be imported, which runs code that the file names.

    Raises:
        ValueError: for such a class when it may not, and as :func:`make_task`.
    """
    found = info.get("task", {})
    name = found.get("name", "steady")
    if name not in TASKS and not trust_import:
        raise ValueError(f"the checkpoint names a task {name!r} that is not of this library; pass trust_import=True")
    return make_task(**found)
