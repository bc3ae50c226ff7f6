"""``NextFrame``: one step of a trajectory, trained on true windows and scored on free rollouts."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from .rollout import rollout
from .task import SteadyField


class NextFrame(SteadyField):
    """From a window of frames to the next one.

    A sample is a trajectory: ``x [N, F]`` the first window, ``y [N, T * O]`` the T frames after it. An item is one
    step of it from the true window (teacher forcing); the answer is T steps of a free run, scored as one field, as
    in the Transolver family's recipe for Navier-Stokes.

    Args:
        channels: O, columns of a frame.
        frames: T of the answer for samples without ``y``.

    Raises:
        ValueError: if ``channels`` or ``frames`` < 1; for samples without ``x``, or whose ``y`` is not whole frames.
    """

    def __init__(self, channels: int = 1, frames: int = 10):
        if channels < 1 or frames < 1:
            raise ValueError(f"channels={channels}, frames={frames}; they must be at least 1")
        self.channels, self.frames = channels, frames

    def steps(self, sample: Data) -> int:
        """T."""
        if sample.get("x") is None or sample.x.shape[1] < self.channels:
            found = 0 if sample.get("x") is None else sample.x.shape[1]
            raise ValueError(f"x has {found} columns; a window of frames of {self.channels} is needed")
        if sample.get("y") is None:
            return self.frames
        columns = sample.y.shape[1]
        if columns % self.channels:
            raise ValueError(f"y has {columns} columns, which are not whole frames of {self.channels}")
        return columns // self.channels

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        found = []
        for sample in samples:
            steps = self.steps(sample)
            fixed, window = sample.x.tensor_split([sample.x.shape[1] % self.channels], 1)
            if sample.get("y") is None:  # nothing to learn from; the first window is what can be said
                found.append(sample)
                continue
            film = torch.cat([window, sample.y], 1)
            for step in range(steps):
                first = step * self.channels
                last = first + window.shape[1]
                item = copy.copy(sample)
                item.x = torch.cat([fixed, film[:, first:last]], 1) if fixed.shape[1] else film[:, first:last]
                item.y = film[:, last : last + self.channels]
                found.append(item)
        return found

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        return rollout(model, sample, self.steps(sample), self.channels).frames

    def __repr__(self) -> str:
        return f"NextFrame(channels={self.channels})"
