"""Part files, a few samples of one solver each."""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..executors import portable
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
    """Make one part file, yielding after each sample.

    Raises:
        RuntimeError, ImportError, OSError: as the solver says, which names the seed.
        ValueError, ArithmeticError, MemoryError, RuntimeError: for another error of the solver, with its name and seed.
    """
    module, _, name = function.partition(":")
    solver = getattr(importlib.import_module(module), name)
    arrays: dict[str, Any] = {TASK: np.asarray(_text(function, parameters, seeds, path))}
    for index, seed in enumerate(seeds):
        try:
            sample = solver(seed, **parameters)
        except (RuntimeError, ImportError, OSError):
            raise
        except Exception as error:
            raise portable(error, f"{function}, seed {seed}") from error
        for field in dataclasses.fields(sample):
            arrays[f"{index}/{field.name}"] = np.asarray(getattr(sample, field.name))
        yield
    with replacing(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)
        seal(temporary)
