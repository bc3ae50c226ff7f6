"""``TimeQuery``: the field at any of several times, asked for one time at a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from .task import SteadyField


class TimeQuery(SteadyField):
    """From inputs and a time to the field at that time.

    A sample holds all times, ``y [N, T * O]``, a time after the other. An item is one of them, with ``time`` from 1/T
    to 1, which the model reads; the answer is all of them, scored as one field (the Transolver family's recipe for
    Plasticity).

    Args:
        times: T.

    Raises:
        ValueError: if ``times`` < 1, the columns of ``y`` are no multiple of it, or samples have a time of their own.
    """

    def __init__(self, times: int):
        if not isinstance(times, int) or times < 1:
            raise ValueError(f"times={times!r}; it must be an integer of at least 1")
        self.times = times

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        return _Items(self, samples)

    def item(self, sample: Data, index: int) -> Data:
        """The sample at its time number ``index``."""
        item = copy.copy(sample)
        if sample.get("time") is not None:
            raise ValueError("the sample has a time of its own beside the times that are asked for; remove one of them")
        samples = sample.num_graphs if isinstance(sample, Batch) else 1
        item.time = sample.pos.new_full((samples,), (index + 1) / self.times)
        if sample.get("y") is not None:
            if sample.y.shape[1] % self.times:
                raise ValueError(f"y has {sample.y.shape[1]} columns, which do not divide into times={self.times}")
            item.y = sample.y.chunk(self.times, 1)[index]
        return item

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        return torch.cat([self.predict(model, self.item(sample, index)) for index in range(self.times)], 1)

    def __repr__(self) -> str:
        return f"TimeQuery(times={self.times})"


class _Items(Sequence[Data]):
    """All times of all samples; an item is made when it is asked for, as all of them would fill the memory."""

    def __init__(self, task: TimeQuery, samples: Sequence[Data]):
        self.task, self.samples = task, samples

    def __len__(self) -> int:
        return len(self.samples) * self.task.times

    def __getitem__(self, index: int) -> Data:  # type: ignore[override]
        sample, time = divmod(range(len(self))[index], self.task.times)
        return self.task.item(self.samples[sample], time)
