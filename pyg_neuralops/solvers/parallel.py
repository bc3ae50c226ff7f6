"""Many samples of one solver, made side by side, in part files that survive a kill."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ..executors import Processes, run_pieces
from .parts import is_part, make_part


def make_parts(
    function: str,
    parameters: Mapping[str, Any],
    seeds: Sequence[Sequence[int]],
    folder: str | os.PathLike[str],
    *,
    workers: int,
    executor: Executor | None = None,
    part_size: int = 8,
    advance: Callable[[int], object] = lambda count: None,
) -> list[Path]:
    """Make the part files of ``folder`` that are missing, damaged, or another task's; each appears whole or not at all.

    Args:
        function: ``"package.module:name"`` of a solver ``(seed, **parameters) -> dataclass of arrays``.
        parameters: its keyword arguments, plain numbers and strings.
        seeds: one entropy of ``numpy.random.SeedSequence`` a sample.
        folder: where the part files are; one folder belongs to one function, parameters and seeds.
        workers: processes of this machine; 0 works in this process.
        executor: where to work instead, whose workers see ``folder``.
        part_size: samples a part file, which are one piece of work; what a kill can lose, per worker.
        advance: called with the number of samples as they are done, those found done first.

    Returns:
        The part files, in the order of the samples.

    Raises:
        RuntimeError: with the solver's message, or naming the samples if a worker dies. Parts made until then stay.
        ValueError, OSError, ImportError, ArithmeticError, MemoryError: as :func:`.parts.make_part`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    tasks: list[dict[str, Any]] = []
    for first in range(0, len(seeds), part_size):
        part = [list(map(int, seed)) for seed in seeds[first : first + part_size]]
        paths.append(folder / f"{first:07d}-{first + len(part) - 1:07d}.npz")
        task: dict[str, Any] = {
            "function": function,
            "parameters": dict(parameters),
            "seeds": part,
            "path": str(paths[-1]),
        }
        if is_part(paths[-1], task):
            advance(len(part))
        else:
            paths[-1].unlink(missing_ok=True)
            tasks.append(task)
    pieces = {f"samples {Path(task['path']).stem} of {folder}": (task,) for task in tasks}
    if executor is not None:
        run_pieces(executor, _make, pieces, lambda _, count: advance(count))
    elif workers == 0:
        for task in tasks:
            for _ in make_part(**task):
                advance(1)
    elif tasks:
        with Processes(min(workers, len(tasks))) as pool:
            run_pieces(pool, _make, pieces, lambda _, count: advance(count))
    return paths


def _make(task: dict[str, Any]) -> int:
    """A part file as a piece of work, in whichever process; returns the number of its samples."""
    folder = Path(task["path"]).parent
    if not folder.is_dir():
        raise OSError(f"a worker does not see the folder {folder}; it needs the same files as the process that asks")
    return sum(1 for _ in make_part(**task))
