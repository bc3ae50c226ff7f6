"""``Positions``: what an encoder sees of where the nodes are."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor

from .initial import Layer

PER_AXIS = 8
OCTAVES = 4
CHOICES = (True, False, "reference-grid", "fourier")


class Positions(Layer):
    """The coordinates, nothing, the distances to a grid of reference points, or waves, ``[N, D] -> [N, channels]``.

    Coordinates should come standardised, as :class:`pyg_neuralops.normalize.Normalized` gives them: the reference
    points fill the square that standardised positions of a uniform sample fill.

    Args:
        coords: True, False, or "reference-grid": the 8^D distances that replace coordinates in Transolver's scripts
            for Darcy and Navier-Stokes (their "unified position"). For nodes all over the unit square they are the
            authors' distances to 8 x 8 points from 0 to 1; for n x n nodes they are about 1 / n smaller, as the
            standard deviation of a grid is not quite that of a uniform sample. "fourier" has, beside the coordinates,
            sine and cosine along each axis with 1/2, 1, 2 and 4 periods in the width of a uniform sample (Fourier
            features, arXiv 2006.10739, on axes).
        pos_dim: D.

    Raises:
        ValueError: for another ``coords``.
    """

    points: Tensor

    def __init__(self, coords: bool | str, *, pos_dim: int):
        super().__init__()
        if coords not in CHOICES:
            raise ValueError(f"coords={coords!r}; choose from {list(CHOICES)}")
        self.coords = coords if isinstance(coords, str) else bool(coords)
        self.channels = pos_dim * (1 + 2 * OCTAVES if coords == "fourier" else bool(coords))
        if coords == "reference-grid":
            self.channels = PER_AXIS**pos_dim
            self.register_buffer("points", torch.empty(self.channels, pos_dim), persistent=False)
            self.reset_own()

    def reset_own(self) -> None:
        if self.coords == "reference-grid":
            # A uniform variable of standard deviation 1 runs from -sqrt(3) to sqrt(3).
            axis = torch.linspace(-math.sqrt(3), math.sqrt(3), PER_AXIS, device="cpu").tolist()
            self.points.copy_(torch.tensor(list(product(axis, repeat=self.points.shape[1])), device="cpu"))

    def forward(self, coords: Tensor) -> Tensor:
        if not self.coords:
            return coords[:, :0]
        if self.coords is True:
            return coords
        if self.coords == "fourier":
            octaves = 2.0 ** torch.arange(OCTAVES, device=coords.device, dtype=coords.dtype)
            phase = (coords[..., None] * (octaves * math.pi / math.sqrt(12))).flatten(1)  # [N, 4 D]
            return torch.cat([coords, phase.sin(), phase.cos()], 1)
        points = self.points.to(coords.dtype)  # [8^D, D]
        return torch.cdist(coords, points, compute_mode="donot_use_mm_for_euclid_dist") / math.sqrt(12)

    def extra_repr(self) -> str:
        return f"coords={self.coords!r}"
