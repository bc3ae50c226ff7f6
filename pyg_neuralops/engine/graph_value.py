"""``GraphValue``: numbers of the whole sample, such as a drag coefficient, pooled from a field."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from .items import Items
from .task import SteadyField, all_metrics, targets

POOLS = ("mean", "max")


class GraphValue(SteadyField):
    r"""``y [1, O]`` of a sample: the model's field ``[N, O]``, pooled over its nodes.

    Trained on squared errors in units of the training samples' standard deviation, a channel at a time, so that
    values around zero and channels of any size count alike; scored by absolute and relative errors of each sample.

    Args:
        pool: "mean", weighted with the quadrature weights where there are any (an integral over the area), or "max".

    Raises:
        ValueError: for an unknown pool; for samples whose ``y`` is not ``[1, O]``.
    """

    def __init__(self, pool: str = "mean"):
        if pool not in POOLS:
            raise ValueError(f"pool={pool!r}; choose from {list(POOLS)}")
        self.pool = pool

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        if not len(samples) or samples[0].get("y") is None:
            return samples
        return Items(samples, 1, partial(_scaled, _scale(samples)))

    def predict(self, model: nn.Module, item: Data) -> Tensor:
        field = model(item)  # [N, O]
        count = item.num_graphs if isinstance(item, Batch) else 1
        batch = item.get("batch")
        batch = torch.zeros(len(field), dtype=torch.long, device=field.device) if batch is None else batch
        empty = field.new_zeros(count, field.shape[1])
        if self.pool == "max":
            return empty.scatter_reduce(0, batch[:, None].expand_as(field), field, "amax", include_self=False)
        weight = item.get("weight")
        weight = torch.ones_like(field[:, 0]) if weight is None else weight.to(field.dtype)
        # Shares first, as a small weight times a small value may not be a number of this type.
        share = weight / weight.new_zeros(count).index_add(0, batch, weight)[batch]  # [N]
        return empty.index_add(0, batch, field * share[:, None])  # [B, O]

    def loss(self, prediction: Tensor, item: Data) -> Tensor:
        y = targets(prediction, item)[0]
        return ((prediction - y) / item.y_scale).square().mean(1)

    def metrics(self, answer: Tensor, sample: Data) -> dict[str, Tensor]:
        return all_metrics(answer, sample, ("mean_absolute", "relative_l2"), answer.shape[1])

    def __repr__(self) -> str:
        return f"GraphValue(pool={self.pool!r})"


def _scale(samples: Sequence[Data]) -> Tensor:
    """The standard deviation of all targets, ``[1, O]``."""
    found = []
    for index, sample in enumerate(samples):
        if sample.y.dim() != 2 or len(sample.y) != 1:
            raise ValueError(f"sample {index}: y has shape {list(sample.y.shape)}; a graph-level target is [1, O]")
        found.append(sample.y)
    y = torch.cat(found).double()  # [S, O]
    scale = y.std(0, correction=0, keepdim=True)
    constant = scale <= 1e-7 * y.abs().amax(0)  # rounding leaves about this much
    scale = torch.where(constant, y.abs().amax(0), scale)
    return torch.where(scale > 0, scale, 1).to(found[0].dtype)


def _scaled(scale: Tensor, sample: Data, _: int) -> Data:
    """The sample with ``y_scale``."""
    item = copy.copy(sample)
    item.y_scale = scale
    return item
