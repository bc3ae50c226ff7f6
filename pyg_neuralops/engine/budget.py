"""``Budget``: how long a run trains, in epochs or in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Either a number of epochs or a number of seconds of pure training (validation not counted).

    Raises:
        ValueError: unless exactly one of the two is given, and is positive.
    """

    epochs: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.seconds is None):
            raise ValueError(f"epochs={self.epochs}, seconds={self.seconds}; give exactly one of them")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs={self.epochs}; it must be at least 1")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"seconds={self.seconds}; it must be positive")

    def progress(self, epochs_done: float, seconds_done: float) -> float:
        """The spent part, in [0, 1]."""
        if self.epochs is not None:
            return min(1.0, epochs_done / self.epochs)
        assert self.seconds is not None
        return min(1.0, seconds_done / self.seconds)
