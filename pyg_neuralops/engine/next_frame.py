"""``NextFrame``: one step of a trajectory, trained on true windows and scored on free rollouts."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from ..residual import Residual
from .rollout import rollout, static_fields, window_of
from .task import SteadyField


class NextFrame(SteadyField):
    """From a window of frames to the next one.

    A sample is a trajectory: ``x [N, F]`` the first window, ``y [N, T * O]`` the T frames after it. An item is one
    step of it from the true window (teacher forcing), with the static fields before the window; the answer is T
    steps of a free run, scored as one field, as in the Transolver family's recipe for Navier-Stokes.

    Args:
        channels: O, columns of a frame.
        frames: T of the answer for samples without ``y``.
        static: node fields of the samples that do not change in time and that the model reads too, such as
            ``("permeability",)`` for ``data.permeability [N, ...]``.
        residual: predict the change from the last frame of the window; kept in the checkpoint.

    Raises:
        ValueError: if ``channels`` or ``frames`` < 1; for samples whose ``x`` or ``y`` is not whole frames, or
            without one of the static fields.
    """

    def __init__(self, channels: int = 1, frames: int = 10, static: Sequence[str] = (), residual: bool = False):
        if channels < 1 or frames < 1:
            raise ValueError(f"channels={channels}, frames={frames}; they must be at least 1")
        if isinstance(static, str):
            raise ValueError(f"static={static!r}; give a list of names, [{static!r}]")
        self.channels, self.frames, self.static = channels, frames, tuple(static)
        if residual:  # counted from the last, as static fields stand before the window
            self.residual = Residual("x", tuple(range(-channels, 0)))

    def steps(self, sample: Data) -> int:
        """T."""
        if sample.get("y") is None:
            return self.frames
        columns = sample.y.shape[1]
        if columns % self.channels or not columns:
            raise ValueError(f"y has {columns} columns, which are not whole frames of {self.channels}")
        return columns // self.channels

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        found = []
        for sample in samples:
            window, fixed = window_of(sample, self.channels), static_fields(sample, self.static)
            # Without y there is nothing to learn from; the first window is what can be said.
            truth = [] if sample.get("y") is None else [sample.y]
            film, width = torch.cat([window, *truth], 1), window.shape[1]
            for first in range(0, self.steps(sample) * self.channels if truth else 1, self.channels):
                item = copy.copy(sample)
                frames = film[:, first : first + width]
                item.x = torch.cat([*fixed, frames], 1) if fixed else frames
                if truth:
                    item.y = film[:, first + width : first + width + self.channels]
                found.append(item)
        return found

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        return rollout(model, sample, self.steps(sample), self.channels, self.static).frames

    def channels_of(self, answer: Tensor) -> int:
        return self.channels

    def __repr__(self) -> str:
        static = f", static={self.static}" if self.static else ""
        residual = ", residual=True" if self.residual else ""
        return f"NextFrame(channels={self.channels}, frames={self.frames}{static}{residual})"
