"""Many samples of one solver, made by parallel processes, in part files that survive a kill.

Workers are fresh interpreters that speak JSON lines over their pipes, not ``multiprocessing``: that imports
the user's main module again in every worker, where a script without a ``__main__`` guard would start to make
the same data once more, and brings torch along. A worker ends by itself when its pipes close, so none outlives
a killed parent.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from .parts import is_part, make_part

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")
"""Set to 1 in a worker: the processes share the cores among themselves."""


def make_parts(
    function: str,
    parameters: Mapping[str, Any],
    seeds: Sequence[Sequence[int]],
    folder: str | os.PathLike[str],
    *,
    workers: int,
    part_size: int = 8,
    advance: Callable[[int], object] = lambda count: None,
) -> list[Path]:
    """Make the part files of ``folder`` that are missing, damaged, or another task's; each appears whole or not at all.

    Args:
        function: ``"package.module:name"`` of a solver ``(seed, **parameters) -> dataclass of arrays``.
        parameters: its keyword arguments, plain numbers and strings.
        seeds: one entropy of ``numpy.random.SeedSequence`` a sample.
        folder: where the part files are; one folder belongs to one function, parameters and seeds.
        workers: processes; 0 works in this process.
        part_size: samples a part file; what a kill can lose, per worker.
        advance: called with the number of samples as they are done, those found done first.

    Returns:
        The part files, in the order of the samples.

    Raises:
        RuntimeError: with the solver's message, or if a worker dies. Parts made until then stay.
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
    if workers == 0:
        for task in tasks:
            for _ in make_part(**task):
                advance(1)
    elif tasks:
        _share(tasks, min(workers, len(tasks)), advance)
    return paths


def _share(tasks: list[dict[str, Any]], workers: int, advance: Callable[[int], object]) -> None:
    """Hand the tasks to worker processes, one thread to talk to each."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    events: queue.SimpleQueue[str] = queue.SimpleQueue()  # "sample", "end", or what went wrong
    for task in tasks:
        waiting.put(task)
    search = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": search}
    command = [sys.executable, "-c", "from pyg_neuralops.solvers.parts import serve; serve()"]
    pipe, processes, threads = subprocess.PIPE, [], []
    try:
        for _ in range(workers):
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
            processes.append(process)
            talk = (process, process.stdin, process.stdout, waiting, events)
            threads.append(threading.Thread(target=_talk, args=talk, daemon=True))
            threads[-1].start()
        while workers:
            event = events.get()
            if event == "sample":
                advance(1)
            elif event == "end":
                workers -= 1
            else:
                raise RuntimeError(event)
    finally:
        for process in processes:
            process.kill()
        for thread in threads:
            thread.join()
        for process in processes:
            process.communicate()  # closes the pipes and waits


def _talk(
    process: subprocess.Popen[str],
    requests: TextIO,
    answers: TextIO,
    waiting: queue.SimpleQueue[dict[str, Any]],
    events: queue.SimpleQueue[str],
) -> None:
    while True:
        try:
            task = waiting.get_nowait()
        except queue.Empty:
            return events.put("end")
        try:
            requests.write(json.dumps(task) + "\n")
            requests.flush()
            while (answer := json.loads(answers.readline())) == "sample":
                events.put("sample")
        except TypeError as error:  # parameters that are not JSON
            return events.put(f"{task['function']}: {error}")
        except (OSError, ValueError):
            process.kill()  # does nothing to a dead one, whose exit code stays
            return events.put(f"a worker process died (exit code {process.wait()}) at {task['path']}")
        if answer != "part":
            return events.put(answer)
