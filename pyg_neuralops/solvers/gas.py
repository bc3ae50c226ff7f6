"""The perfect gas of two-atomic molecules, such as air."""

from __future__ import annotations

import numpy as np

GAMMA = 1.4
"""Ratio of its heat capacities."""


def mach_number(flow: np.ndarray) -> np.ndarray:
    """Speed over speed of sound ``[...]`` from density, velocity and pressure ``[..., 4]``."""
    return np.hypot(flow[..., 1], flow[..., 2]) / np.sqrt(GAMMA * flow[..., 3] / flow[..., 0])
