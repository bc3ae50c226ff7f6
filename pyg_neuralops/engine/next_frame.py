"""``NextFrame``: one step of a trajectory, trained on true windows and scored on free rollouts."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from ..data import StoredSamples
from ..residual import Residual
from .items import Items
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
        if isinstance(samples, StoredSamples):  # which are alike
            return Items(samples, self._count(samples[0]), self.item)
        return Items(samples, [self._count(sample) for sample in samples], self.item)

    def item(self, sample: Data, index: int) -> Data:
        """Step number ``index`` of the sample; without ``y`` the first window, which is what can be said."""
        window, item = window_of(sample, self.channels), copy.copy(sample)
        truth = [] if sample.get("y") is None else [sample.y]
        film, first, width = torch.cat([window, *truth], 1), index * self.channels, window.shape[1]
        frames = film[:, first : first + width]
        fixed = static_fields(sample, self.static)
        item.x = torch.cat([*fixed, frames], 1) if fixed else frames
        if truth:
            item.y = film[:, first + width : first + width + self.channels]
        return item

    def _count(self, sample: Data) -> int:
        """Items of a sample, which is checked."""
        window_of(sample, self.channels)
        static_fields(sample, self.static)
        return 1 if sample.get("y") is None else self.steps(sample)

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        return rollout(model, sample, self.steps(sample), self.channels, self.static).frames

    def channels_of(self, answer: Tensor) -> int:
        return self.channels

    def __repr__(self) -> str:
        static = f", static={self.static}" if self.static else ""
        residual = ", residual=True" if self.residual else ""
        return f"NextFrame(channels={self.channels}, frames={self.frames}{static}{residual})"
