"""``OneCycle``: the learning rate as a function of progress."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class OneCycle:
    """The one-cycle policy (Smith & Topin 2017) with cosine arcs: lr rises from ``max_lr / div`` to ``max_lr`` over
    the first ``pct_start`` of the run and falls to ``max_lr / div / final_div``; Adam's beta1 moves the other way.

    It is a function of progress in [0, 1], not of a step count: under a budget of seconds nobody knows the number
    of steps, and batches cut by a node budget differ in number from epoch to epoch. With constant steps it is
    ``torch.optim.lr_scheduler.OneCycleLR``.

    Raises:
        ValueError: unless max_lr > 0, 0 < pct_start < 1 and both divisors are positive.
    """

    max_lr: float
    pct_start: float = 0.3
    div: float = 25.0
    final_div: float = 1e4
    beta1: tuple[float, float] = (0.85, 0.95)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_lr) and self.max_lr > 0):
            raise ValueError(f"lr={self.max_lr}; it must be positive")
        if not 0 < self.pct_start < 1:
            raise ValueError(f"pct_start={self.pct_start}; it must lie between 0 and 1")
        if self.div <= 0 or self.final_div <= 0:
            raise ValueError(f"div={self.div}, final_div={self.final_div}; both must be positive")

    def __call__(self, progress: float) -> tuple[float, float]:
        """``progress`` in [0, 1] (clamped) -> (lr, beta1)."""
        progress = min(max(progress, 0.0), 1.0)
        first, (low, high) = self.max_lr / self.div, self.beta1
        if progress <= self.pct_start:
            part = progress / self.pct_start
            return _cosine(first, self.max_lr, part), _cosine(high, low, part)
        part = (progress - self.pct_start) / (1 - self.pct_start)
        return _cosine(self.max_lr, first / self.final_div, part), _cosine(low, high, part)


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))
