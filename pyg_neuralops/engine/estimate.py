"""``estimate``: what a run will take of time and memory, found out on two of its batches."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader

from ..data.draws import draws_of_its_own
from ..normalize import Normalized
from ..recipe import FitRecipe
from .batches import Batches
from .loop import Loop
from .memory import peak_memory, reset_peak_memory
from .ranks import Ranks
from .task import Task
from .trial import rebuilt


@dataclass(frozen=True)
class Estimate:
    """What to expect of a run.

    Attributes:
        parameters: numbers to be trained.
        step_seconds: of the second of two steps; the first includes what is done only once.
        steps, seconds: of the whole budget, as far as the first epoch is like the others; of training alone.
        peak_memory: bytes, of the accelerator if one was used, else of the process.
    """

    parameters: int
    step_seconds: float
    steps: int
    seconds: float
    peak_memory: int

    def __str__(self) -> str:
        """``"83,713 parameters; about 1,440 steps of 0.11 s, 2.6 min of training, 0.9 GiB at the peak"``"""
        long = f"{self.seconds / 60:.1f} min" if self.seconds < 5400 else f"{self.seconds / 3600:.1f} h"
        long = f"{self.seconds:.0f} s" if self.seconds < 90 else long
        return (
            f"{self.parameters:,} parameters; about {self.steps:,} steps of {self.step_seconds:.2g} s, "
            f"{long} of training, {self.peak_memory / 2**30:.2g} GiB at the peak"
        )


def estimate(
    model: Normalized, train_loader: DataLoader, task: Task, recipe: FitRecipe, ranks: Ranks, seed: int = 0
) -> Estimate:
    """Two steps of a copy of the model, as :func:`.fit.fit` takes them; the model and the random state stay.

    Raises:
        ValueError, RuntimeError: as training does.
    """
    with draws_of_its_own():
        loop = Loop(rebuilt(model), task, recipe, seed, ranks)
        batches = Batches(train_loader, ranks, recipe.accumulate)
        reset_peak_memory()
        loop.model.train()
        count, steps = batches.epoch(seed, 0)
        ends = [time.perf_counter()]
        for pieces in itertools.islice(steps, 2):
            loop.step(pieces)
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            ends.append(time.perf_counter())
    step = ranks.first(lambda: ends[-1] - ends[-2])
    if recipe.seconds is not None:
        planned = max(1, round(recipe.seconds / step))
    else:
        planned = recipe.steps or count * (recipe.epochs or 1)
    return Estimate(
        parameters=sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        step_seconds=step,
        steps=planned,
        seconds=recipe.seconds or planned * step,
        peak_memory=peak_memory(ranks.fabric.device.type == "cuda"),
    )
