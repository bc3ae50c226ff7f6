"""``Averaging``: an exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Averaging:
    """Keeps ``a <- decay a + (1 - decay) w`` of every weight, from the first step on; nothing without a decay.

    Args:
        weights: of the model, where they are trained.
        decay: in (0, 1), or None.
    """

    def __init__(self, weights: Iterable[Tensor], decay: float | None):
        self.weights, self.decay = [weight.detach() for weight in weights], decay
        self.average: list[Tensor] | None = None

    def step(self) -> None:
        """After a step of the optimiser."""
        if self.decay is None:
            return
        if self.average is None:
            self.average = [weight.clone() for weight in self.weights]
        else:
            torch._foreach_lerp_(self.average, self.weights, 1 - self.decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within this, the model holds the average."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for mean, weight in zip(self.average or (), self.weights, strict=False):
            kept = weight.clone()
            weight.copy_(mean)
            mean.copy_(kept)

    def load(self, average: list[Tensor] | None) -> None:
        """Go on from an average that was kept."""
        if average is not None:
            self.average = [mean.to(weight.device) for mean, weight in zip(average, self.weights, strict=True)]
