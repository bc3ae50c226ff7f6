"""A run of a comparison as a piece of work: what it needs is its settings, so that any process can do it."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..executors import portable
from ..models import NeuralOperator, build_model
from .automatic_k import with_k
from .data import Splits, load_splits
from .provenance import read_json
from .run import Prepared, prepare, train_run
from .settings import Comparison

Run = tuple[str, int]
"""Label and seed."""
PATIENCE = 60.0
"""Seconds to wait for a process that still holds a run's folder."""

# A run seeds the generators of its whole process, so in threads runs wait for each other. What was loaded last is
# kept: runs of one comparison that a process gets one after another load their samples once.
_lock = threading.Lock()
_kept: dict[str, Any] = {}


def all_runs(comparison: Comparison) -> list[Run]:
    """The runs of a comparison in the order of its results."""
    seeds = range(comparison.seed, comparison.seed + comparison.seeds)
    return list(itertools.product(comparison.models, seeds))


def run_folder(out: Path, label: str, seed: int) -> Path:
    """The folder of one run; a label such as "package.module:Class" becomes a portable name.

    Raises:
        ValueError: for a label that is no name, such as "..", which would lead out of ``out``.
    """
    name = re.sub(r"[^\w.-]", "_", label)
    if not name.strip("."):
        raise ValueError(f"a model is called {label!r}; a name with a letter or digit is needed")
    return out / name / f"seed{seed}"


def run_name(label: str, seed: int) -> str:
    """What a run is called in messages."""
    return f"{label}, seed {seed}"


def build(comparison: Comparison, label: str, splits: Splits) -> NeuralOperator:
    """The model called ``label``, with the channels of these samples; with a large K where it is to be chosen yet."""
    name, kwargs = comparison.model(label)
    return build_model(name, **splits.shape, **with_k(kwargs))


def train_piece(
    comparison: Comparison,
    label: str,
    seed: int,
    splits: Splits,
    prepared: Prepared,
    *,
    progress: bool = False,
    title: str = "",
) -> dict[str, Any]:
    """:func:`.run.train_run` as ``comparison`` has it for this label and seed."""
    return train_run(
        splits,
        prepared,
        *comparison.model(label),
        comparison.recipe(label),
        seed,
        run_folder(Path(comparison.out), label, seed),
        label=label,
        metrics=comparison.metrics,
        progress=progress,
        title=title,
    )


def run_piece(comparison: Comparison, label: str, seed: int) -> dict[str, Any]:
    """One run of a comparison that :func:`.comparison.compare` has begun, in whichever process this is called.

    Returns:
        The run's result, which is also in its folder.

    Raises:
        ValueError: also if the samples here are not those that the comparison began with.
        OSError, ImportError, ArithmeticError, MemoryError, RuntimeError: as the run does, with its label and seed.
    """
    try:
        with _lock:
            splits = _splits(comparison)
            _wait_for(run_folder(Path(comparison.out), label, seed))
            if _kept.get("label") != label:
                _kept.update(prepared=prepare(build(comparison, label, splits), splits), label=label)
            return train_piece(comparison, label, seed, splits, _kept["prepared"])
    except Exception as error:
        raise portable(error, run_name(label, seed)) from error


def _wait_for(folder: Path) -> None:
    """Wait until no other process trains in ``folder``, a while: a cluster does a run again whose worker it lost, which
    may not be quite dead. Who is there longer is reported by the run itself ("in use by another process").
    """
    if (folder / ".lock").exists():
        with contextlib.suppress(Timeout), FileLock(folder / ".lock", timeout=PATIENCE):
            pass


def _splits(comparison: Comparison) -> Splits:
    path = Path(comparison.out) / "comparison.json"
    if not path.is_file():
        raise FileNotFoundError(f"a worker does not see the file {path}; it needs the same files as the comparison")
    digest = read_json(path, of="comparison")["digest"]
    if _kept.get("comparison") != comparison or _kept["splits"].info["digest"] != digest:
        _kept.clear()
        _kept.update(splits=load_splits(comparison), comparison=comparison)
    found = _kept["splits"].info["digest"]
    if found != digest:
        raise ValueError(
            f"this process finds other values of {comparison.dataset} (digest {found}) than {path} ({digest})"
        )
    return _kept["splits"]
