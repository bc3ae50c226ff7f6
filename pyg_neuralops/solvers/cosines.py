"""Sums of random cosines: smooth data on a domain of any shape, with an exact gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cosines:
    r"""The function :math:`\sum_m A_m \cos(k_m \cdot x + \varphi_m)`.

    Shapes:
        ``amplitude [M]``, ``wave [M, D]`` in radians per unit of length, ``phase [M]`` in radians, float64.
    """

    amplitude: np.ndarray
    wave: np.ndarray
    phase: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Values at ``points [D, ...]``, ``[...]``."""
        return np.tensordot(self.amplitude, np.cos(self._argument(points)), 1)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Gradients at ``points [D, ...]``, ``[D, ...]``."""
        return np.tensordot(-(self.amplitude[:, None] * self.wave).T, np.sin(self._argument(points)), 1)

    def _argument(self, points: np.ndarray) -> np.ndarray:
        across = (-1,) + (1,) * (points.ndim - 1)
        return np.tensordot(self.wave, points, 1) + self.phase.reshape(across)


def random_cosines(rng: np.random.Generator, count: int = 4, deviation: float = 6.0) -> Cosines:
    """Boundary data in the plane: ``count`` waves with k ~ N(0, deviation²) in each component.

    The amplitudes are N(0, 1/count) and the phases uniform, so that a value has mean 0 and variance 1/2.
    """
    wave = rng.normal(0.0, deviation, (count, 2))
    phase = rng.uniform(0.0, 2 * np.pi, count)
    return Cosines(rng.normal(size=count) / np.sqrt(count), wave, phase)
