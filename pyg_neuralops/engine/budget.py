"""``Budget``: how much of a run is spent, and ``Clock``: its seconds of pure training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ..recipe import FitRecipe


@dataclass(frozen=True)
class Budget:
    """One of the three, as a recipe has it: epochs, steps, or seconds of pure training (validation not counted)."""

    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, recipe: FitRecipe) -> Budget:
        return cls(recipe.epochs, recipe.steps, recipe.seconds)

    def spent(self, epochs: float, steps: int, seconds: float) -> float:
        """The part of it that so much comes to, in [0, 1]."""
        if self.epochs is not None:
            return min(1.0, epochs / self.epochs)
        return min(1.0, steps / self.steps if self.steps is not None else seconds / (self.seconds or 1.0))

    def over(self, steps: int, seconds: float) -> bool:
        """Whether it ends here, in the middle of an epoch."""
        return self.epochs is None and self.spent(0, steps, seconds) >= 1


class Clock:
    """Seconds of training, data loading included; not of validation, checkpoints, or what a kill took away."""

    def __init__(self, seconds: float = 0.0):
        self.spent = seconds
        self.since: float | None = None

    @property
    def seconds(self) -> float:
        return self.spent + (0.0 if self.since is None else time.perf_counter() - self.since)

    @contextmanager
    def running(self) -> Iterator[None]:
        self.since = time.perf_counter()
        try:
            yield
        finally:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()  # kernels still in flight belong to the training
            self.spent, self.since = self.seconds, None
