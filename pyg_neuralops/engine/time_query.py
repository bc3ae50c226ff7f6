"""``TimeQuery``: the field at any of several times, asked for one time at a time."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from ..residual import Residual
from .items import Items
from .task import SteadyField, targets


class TimeQuery(SteadyField):
    r"""From inputs and a time to the field at that time.

    A sample holds all times, ``y [N, T * O]``, a time after the other. An item is one of them, its place in time in
    ``data.time [1]``, 1 / T to 1, which the model reads; the answer is all of them, scored as one field.

    .. math:: \ell = \frac{1}{T} \sum_t T |\hat y_t - y_t|^2 \Big/ \sum_s |y_s|^2

    so that its mean over the times is the square of the error that is scored. An error relative to each time alone
    lets the times at which little is left decide: a field that decays, or passes through zero, is then answered by
    almost nothing at all times.

    Args:
        times: T.
        each_time: take the error relative to each time alone nevertheless, as the Transolver family's recipe for
            Plasticity does.
        residual: predict the change from this field, the same at all times, as
            ``{"field": "pos", "columns": [0, 1, None, None]}`` for positions and displacements (Plasticity).

    Raises:
        ValueError: if ``times`` < 1; for samples whose columns of ``y`` are no multiple of it, or that have a ``time``
            of their own.
    """

    def __init__(self, times: int, each_time: bool = False, residual: Mapping[str, Any] | None = None):
        if not isinstance(times, int) or isinstance(times, bool) or times < 1:
            raise ValueError(f"times={times!r}; it must be an integer of at least 1")
        self.times, self.each_time = times, each_time
        if residual is not None:  # only then, so that earlier runs are the same task still
            self.residual = Residual.of(residual)

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        return Items(samples, self.times, self.item)

    def at(self, sample: Data, index: int) -> Data:
        """The sample or batch, asked for its time number ``index``."""
        if sample.get("time") is not None:
            raise ValueError("the sample has a time of its own beside the times that are asked for; remove data.time")
        item = copy.copy(sample)
        count = sample.num_graphs if isinstance(sample, Batch) else 1
        item.time = sample.pos.new_full([count], (index + 1) / self.times)
        return item

    def item(self, sample: Data, index: int) -> Data:
        """The sample at its time number ``index``, with that time's ``y``."""
        item = self.at(sample, index)
        if sample.get("y") is not None:
            if sample.y.shape[1] % self.times or not sample.y.shape[1]:
                raise ValueError(f"y has {sample.y.shape[1]} columns, which do not divide into times={self.times}")
            item.y = sample.y.chunk(self.times, 1)[index]
            # Root mean square over the times of the norms that the metric adds up.
            item.y_scale = sample.y.double().norm().div(self.times**0.5).to(sample.y.dtype).view(1, 1)
        return item

    def loss(self, prediction: Tensor, item: Data) -> Tensor:
        if self.each_time:
            return super().loss(prediction, item)
        y, batch, _, count = targets(prediction, item)
        scale = item.y_scale[:, 0]  # [B]
        error = (prediction - y) / torch.where(scale > 0, scale, 1)[batch, None]  # before squares, which have a range
        found = error.new_zeros(count).index_add(0, batch, error.square().sum(1))
        return torch.where(scale > 0, found, torch.nan)

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        return torch.cat([self.predict(model, self.at(sample, index)) for index in range(self.times)], 1)

    def channels_of(self, answer: Tensor) -> int:
        return answer.shape[1] // self.times

    def __repr__(self) -> str:
        each = ", each_time=True" if self.each_time else ""
        residual = f", residual={self.residual.to_dict()}" if self.residual else ""
        return f"TimeQuery(times={self.times}{each}{residual})"
