"""``forecast``: the time that a study would take here, from a few samples and two steps of each model."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import torch

from ..datasets import DATASETS
from ..engine.estimate import estimate
from ..engine.machine import make_fabric
from ..engine.ranks import Ranks
from .automatic_k import with_k
from .data import load_splits
from .pieces import build
from .plan import Study
from .run import assembled, prepare
from .settings import Comparison

FEW = 24
"""Samples that are generated to see how long one takes."""


def forecast(study: Study, jobs: int = 1) -> str:
    """A table of parts and models with parameters, steps and time of a run, and the time of everything.

    Of a dataset of this library 24 samples are made in a temporary folder; others are loaded as they are. The time of
    the whole leaves out preparation, validation and tests, and takes it that runs side by side do not slow each other.

    Raises:
        ValueError, RuntimeError: as the study itself does for data that are not there, or models that do not fit.
    """
    lines = ["| part | model | parameters | steps | s/step | a run | runs |", "|---|---|---:|---:|---:|---:|---:|"]
    training = generating = 0.0
    for name, part in study.parts.items():
        comparison = part.comparison
        with tempfile.TemporaryDirectory() as folder:
            small, factor = _small(comparison, folder)
            start = time.perf_counter()
            splits = load_splits(small)
            generating += (factor - 1) * (time.perf_counter() - start)
            for label in comparison.models:
                recipe = comparison.recipe(label)
                fabric = make_fabric(recipe)
                kind, kwargs = comparison.model(label)
                with torch.random.fork_rng():
                    prepared = prepare(build(comparison, label, splits), splits)
                model, train, _ = assembled(splits, prepared, kind, with_k(kwargs), recipe, comparison.seed)
                found = estimate(model, train, splits.task, recipe, Ranks(fabric), comparison.seed)
                steps = found.steps if recipe.epochs is None else math.ceil(factor * found.steps)
                seconds = recipe.seconds or steps * found.step_seconds
                training += comparison.seeds * seconds
                cells = [f"{found.parameters:,}", f"{steps:,}", f"{found.step_seconds:.2g}", said(seconds)]
                lines.append(f"| {name} | {label} | {' | '.join(cells)} | {comparison.seeds} |")
    total = training / jobs
    data = f"; about {said(generating)} before that to make the samples, if they are not there" if generating else ""
    return "\n".join([*lines, "", f"{study.name}: about {said(total)} of training with {jobs} job(s){data}"])


def said(seconds: float) -> str:
    """``"40 s"``, ``"12 min"``, ``"3.4 h"``, ``"5 days"``"""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"


def _small(comparison: Comparison, folder: str) -> tuple[Comparison, float]:
    """The comparison on few samples of its dataset, and how many times as many it has itself."""
    cls: Any = DATASETS.get(comparison.dataset)
    args: Mapping[str, Any] = comparison.dataset_args
    if cls is None or args.get("source") == "official":
        return comparison, 1.0
    total = args.get("num_samples") or sum(cls.num_default)
    if total <= FEW:
        return dataclasses.replace(comparison, root=folder), 1.0
    few = {**args, "num_samples": FEW, "source": "generated"}
    return dataclasses.replace(comparison, dataset_args=few, root=folder), total / FEW
