"""Part files, a few samples of one solver each, and the loop of a worker process that makes them."""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import os
import sys
import traceback
import zipfile
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np

from ..files import replacing, seal, unsealed

log = logging.getLogger(__name__)

TASK = "task"
"""The entry that says what made the part."""


def load_part(path: str | os.PathLike[str]) -> list[dict[str, np.ndarray]]:
    """The samples of a part file, each a dict of the solver's arrays by name.

    Raises:
        ValueError: naming the file, if it is damaged.
    """
    samples: dict[int, dict[str, np.ndarray]] = {}
    with unsealed(path, "remove it, and it is solved again") as file, np.load(file, allow_pickle=False) as arrays:
        for key in arrays.files:
            if key != TASK:
                index, name = key.split("/")
                samples.setdefault(int(index), {})[name] = arrays[key]
    return [samples[index] for index in sorted(samples)]


def is_part(path: str | os.PathLike[str], task: dict[str, Any]) -> bool:
    """Whether ``path`` is an undamaged part file of this task (the arguments of :func:`make_part`)."""
    try:
        with unsealed(path, "") as file, np.load(file, allow_pickle=False) as arrays:
            return TASK in arrays.files and str(arrays[TASK]) == _text(**task)
    except FileNotFoundError:
        return False
    except (ValueError, zipfile.BadZipFile) as error:  # the second: sealed, but no archive
        log.warning("%s; it is solved again", error)
        return False


def _text(function: str, parameters: dict[str, Any], seeds: list[list[int]], path: str) -> str:
    return json.dumps([function, parameters, seeds], sort_keys=True)


def make_part(function: str, parameters: dict[str, Any], seeds: list[list[int]], path: str) -> Iterator[None]:
    """Make one part file, yielding after each sample."""
    module, _, name = function.partition(":")
    solver = getattr(importlib.import_module(module), name)
    arrays: dict[str, Any] = {TASK: np.asarray(_text(function, parameters, seeds, path))}
    for index, seed in enumerate(seeds):
        sample = solver(seed, **parameters)
        for field in dataclasses.fields(sample):
            arrays[f"{index}/{field.name}"] = np.asarray(getattr(sample, field.name))
        yield
    with replacing(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)
        seal(temporary)


def serve(source: TextIO = sys.stdin) -> None:
    """A worker's loop: a task a line in, "sample", "part" or an error message a line out."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a solver prints must not be taken for an answer

    def answer(text: str) -> None:
        answers.write(json.dumps(text) + "\n")
        answers.flush()

    try:
        for line in source:
            try:
                for _ in make_part(**json.loads(line)):
                    answer("sample")
                answer("part")
            except BrokenPipeError:
                raise
            except (RuntimeError, OSError) as error:
                answer(str(error))
            except Exception:  # noqa: BLE001  (whatever it is, the parent has to say it)
                answer(traceback.format_exc())
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)  # the parent is gone or about to go; there is nobody to complain to
