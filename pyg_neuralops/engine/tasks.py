"""Tasks by name, as settings and checkpoints write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
    """The task called ``name``.

    Raises:
        ValueError: for an unknown name or argument; says what there is.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; choose from {list(TASKS)}")
    try:
        return TASKS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"task {name!r}: {error}") from None


def task_of(info: Mapping[str, Any]) -> Task:
    """The task that a checkpoint's provenance names; a steady field where it names none."""
    return make_task(**info.get("task", {}))
