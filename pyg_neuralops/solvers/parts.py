"""Part files, a few samples of one solver each, and the loop of a worker process that makes them."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np


def load_part(path: str | os.PathLike[str]) -> list[dict[str, np.ndarray]]:
    """The samples of a part file, each a dict of the solver's arrays by name."""
    samples: dict[int, dict[str, np.ndarray]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            index, name = key.split("/")
            samples.setdefault(int(index), {})[name] = arrays[key]
    return [samples[index] for index in sorted(samples)]


def make_part(function: str, parameters: dict[str, Any], seeds: list[list[int]], path: str) -> Iterator[None]:
    """Make one part file, yielding after each sample."""
    module, _, name = function.partition(":")
    solver = getattr(importlib.import_module(module), name)
    arrays: dict[str, Any] = {}
    for index, seed in enumerate(seeds):
        sample = solver(seed, **parameters)
        for field in dataclasses.fields(sample):
            arrays[f"{index}/{field.name}"] = np.asarray(getattr(sample, field.name))
        yield
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may keep the name and lose the content
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        Path(temporary).unlink(missing_ok=True)


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
