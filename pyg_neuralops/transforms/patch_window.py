"""``PatchWindow``: the window of a patch in space, where it is a length of the domain and not a number of points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..ops import ball_graph, domain_reach, incoming_reach

SCALES = ("reach", "domain")
LEAST = 8
"""Nearest points that a patch has in any case: with so many, graphs of neighbours are connected in practice."""


@dataclass(frozen=True)
class PatchWindow:
    """Arguments ``radius``, ``least`` and ``scale`` of :class:`.knn_patches.KNNPatches`, which says what they are.

    Raises:
        ValueError: for a radius that is no positive number, least outside 1 to k, an unknown scale, or least or
            scale="domain" without a radius.
    """

    radius: float | None
    least: int | None
    scale: str

    @classmethod
    def of(cls, k: int, radius: float | None, least: int | None, scale: str) -> PatchWindow:
        if scale not in SCALES:
            raise ValueError(f"scale={scale!r}; choose from {list(SCALES)}")
        if radius is None:
            if least is not None or scale == "domain":
                wrong = "scale='domain'" if least is None else f"least={least!r}"
                raise ValueError(f"{wrong} needs a radius, such as radius=0.1 of the domain's longest side")
            return cls(None, None, scale)
        if isinstance(radius, bool) or not isinstance(radius, (int, float)) or not 0 < radius < math.inf:
            raise ValueError(f"radius={radius!r}; it must be a positive number, a part of the domain's longest side")
        least = min(LEAST, k) if least is None else least
        if isinstance(least, bool) or not isinstance(least, int) or not 1 <= least <= k:
            raise ValueError(f"least={least!r}; it must be an integer from 1 to k={k}")
        return cls(float(radius), least, scale)

    def settings(self) -> dict[str, Any]:
        """What is set, by name."""
        found = {} if self.radius is None else {"radius": self.radius, "least": self.least}
        return found if self.scale == "reach" else {**found, "scale": self.scale}

    def graph(self, pos: Tensor, k: int, batch: Tensor | None, period: Tensor | None) -> Tensor:
        """``edge_index [2, E]``; there is a radius."""
        assert self.radius is not None
        assert self.least is not None
        return ball_graph(pos, self.radius, k, self.least, batch, period)

    def reach(self, pos: Tensor, index: Tensor, batch: Tensor | None, period: Tensor | None) -> Tensor:
        """``[N]``, the length l_i of the soft mask: of the longest edge of a patch, or the radius."""
        if self.scale == "reach" or self.radius is None:
            return incoming_reach(pos, index, period)
        return domain_reach(pos, self.radius, batch, period)
