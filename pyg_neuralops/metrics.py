"""Errors of predicted fields: one value per sample, reduced by the caller.

Every metric is a function ``(prediction, target, batch, weight, num_samples) -> [B]``; a user's own of this form joins
:data:`METRICS` by its import path. Sums run in float64, so that fields from 1e-30 to 1e30, and half precision, give
the errors that exact arithmetic on the same values gives, to 1e-5.

A sample that a metric is not defined for (a relative error where the target is zero everywhere) gets NaN, and
nothing else does: a prediction that is not finite has an infinite error. Who reduces keeps NaN out
(:func:`defined_mean`) and says how many there were.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Metric = Callable[[Tensor, Tensor, Tensor | None, Tensor | None, int | None], Tensor]


def relative_l2(
    prediction: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    weight: Tensor | None = None,
    num_samples: int | None = None,
) -> Tensor:
    r"""Relative L2 error of every sample, over all nodes and channels.

    .. math:: e_b = \sqrt{\sum_{i \in b} w_i |\hat y_i - y_i|^2} \Big/ \sqrt{\sum_{i \in b} w_i |y_i|^2}

    Without ``weight`` this is the node sum of the published tables; with the nodal quadrature weights it is
    the integral. Differentiable; at an exact prediction the gradient is 0. NaN where the target is zero.

    Shapes: ``prediction, target [N, O]``, ``batch [N]`` (None: one sample), ``weight [N]`` -> ``[B]``. Reading B from
    ``batch`` waits for the device; ``num_samples`` says it beforehand.

    Raises:
        ValueError: if the shapes do not fit.
    """
    error, target, rows = _read(prediction, target, batch, weight, num_samples)
    squares = [v.square().sum(1) if weight is None else v.square().sum(1) * weight for v in (error, target)]  # [N]
    found, norm = (rows.sum(v) for v in squares)  # [B]
    # Not sqrt(found / norm): the gradient of sqrt at an exact prediction would be infinite.
    found = found.clamp_min(torch.finfo(found.dtype).tiny).sqrt() * (found != 0)
    return rows.result(found, norm.sqrt())


def sum_l2(
    prediction: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    weight: Tensor | None = None,
    num_samples: int | None = None,
) -> Tensor:
    """:func:`relative_l2` as a sum over nodes, whatever they weigh."""
    return relative_l2(prediction, target, batch, None, num_samples)


def integral_l2(
    prediction: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    weight: Tensor | None = None,
    num_samples: int | None = None,
) -> Tensor:
    """:func:`relative_l2` as integrals over the mesh.

    Raises:
        ValueError: without quadrature weights.
    """
    if weight is None:
        raise ValueError("the samples have no quadrature weights (data.weight); an integral needs them")
    return relative_l2(prediction, target, batch, weight, num_samples)


def relative_max(
    prediction: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    weight: Tensor | None = None,
    num_samples: int | None = None,
) -> Tensor:
    """Largest error over nodes and channels, over the largest value of the target. ``-> [B]``"""
    error, target, rows = _read(prediction, target, batch, weight, num_samples)
    return rows.result(*(rows.max(v.abs().amax(1)) for v in (error, target)))


def mean_absolute(
    prediction: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    weight: Tensor | None = None,
    num_samples: int | None = None,
) -> Tensor:
    """Mean over nodes and channels of the absolute error, in the target's unit. ``-> [B]``"""
    error, _, rows = _read(prediction, target, batch, weight, num_samples)
    return rows.result(rows.sum(error.abs().mean(1)), rows.count(error))


def r2(
    prediction: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    weight: Tensor | None = None,
    num_samples: int | None = None,
) -> Tensor:
    r"""Coefficient of determination of every sample, :math:`1 - \sum |\hat y - y|^2 / \sum |y - \bar y|^2`. ``-> [B]``

    :math:`\bar y` is the sample's own mean, a number a channel. 1 is exact, 0 as good as that mean; NaN where the
    target is constant.
    """
    error, target, rows = _read(prediction, target, batch, weight, num_samples)
    # From the least value on, so that a constant target leaves exactly nothing.
    target = target - rows.spread(-rows.max(-target))
    target = target - rows.spread(rows.sum(target) / rows.count(target)[:, None])
    missed = rows.result(*(rows.sum(v.square().sum(1)) for v in (error, target)))
    return 1 - missed


METRICS: dict[str, Metric] = {
    "relative_l2": sum_l2,
    "relative_l2_integral": integral_l2,
    "relative_max": relative_max,
    "mean_absolute": mean_absolute,
    "r2": r2,
}
"""Metrics by name. Of all but ``r2`` less is better; those called ``relative_...`` are parts of 1."""


def per_channel(
    metric: Metric,
    prediction: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    weight: Tensor | None = None,
    num_samples: int | None = None,
    channels: int | None = None,
) -> Tensor:
    """A metric of every channel by itself: each channel of each sample is a sample of its own.

    Shapes: ``prediction, target [N, T * O]`` -> ``[B, O]``; ``channels`` is O, where the columns are those of one
    time after another (T = 1 by default).
    """
    channels = target.shape[1] if channels is None else channels
    batch = torch.zeros(len(target), dtype=torch.long, device=target.device) if batch is None else batch
    size = num_samples if num_samples is not None else int(batch.max()) + 1 if batch.numel() else 0
    index = (batch + size * torch.arange(channels, device=batch.device)[:, None]).flatten()  # [O * N]
    one, two = (v.unflatten(1, (-1, channels)).permute(2, 0, 1).flatten(0, 1) for v in (prediction, target))
    found = metric(one, two, index, None if weight is None else weight.repeat(channels), channels * size)
    return found.view(channels, size).t()


def defined_mean(values: Tensor) -> Tensor:
    """Mean of those values that are defined (not NaN), a scalar; 0, with gradient 0, where there is none.

    Where all are defined it is their mean. Does not wait for the device.
    """
    defined = ~values.isnan()
    return torch.where(defined, values, 0).sum() / defined.sum().clamp_min(1)


class _Rows:
    """Reductions over the nodes of each sample, ``[N, ...] -> [B, ...]``."""

    def __init__(self, batch: Tensor | None, size: int, dtype: torch.dtype):
        self.batch, self.size, self.dtype = batch, size, dtype

    def sum(self, v: Tensor) -> Tensor:
        if self.batch is None:
            return v.sum(0, keepdim=True)
        return v.new_zeros(self.size, *v.shape[1:]).index_add(0, self.batch, v)

    def max(self, v: Tensor) -> Tensor:
        """0 for a sample without nodes."""
        if self.batch is None:
            return v.amax(0, keepdim=True) if len(v) else v.new_zeros(1, *v.shape[1:])
        index = self.batch.view(-1, *[1] * (v.dim() - 1)).expand_as(v)
        return v.new_zeros(self.size, *v.shape[1:]).scatter_reduce(0, index, v, "amax", include_self=False)

    def spread(self, v: Tensor) -> Tensor:
        """A sample's value at each of its nodes, ``[B, ...] -> [N, ...]`` (or something that broadcasts so)."""
        return v if self.batch is None else v.index_select(0, self.batch)

    def count(self, v: Tensor) -> Tensor:
        return self.sum(torch.ones_like(v[:, 0]))

    def result(self, error: Tensor, scale: Tensor) -> Tensor:
        """``error / scale``: NaN where the scale is 0, inf where the error is not finite, in the fields' own type."""
        ratio = error / torch.where(scale == 0, 1, scale)  # a gradient through x / 0 is NaN even where it is not taken
        ratio = torch.where(ratio.isnan(), torch.inf, ratio)
        return torch.where(scale == 0, torch.nan, ratio).to(self.dtype)


def _read(
    prediction: Tensor, target: Tensor, batch: Tensor | None, weight: Tensor | None, num_samples: int | None
) -> tuple[Tensor, Tensor, _Rows]:
    """Error and target in float64, and how to reduce them."""
    if prediction.shape != target.shape or target.dim() != 2:
        shapes = f"prediction has shape {list(prediction.shape)} and target {list(target.shape)}"
        raise ValueError(f"{shapes}; both must be [N, O]")
    if prediction.is_complex() or target.is_complex():
        raise ValueError("prediction or target is complex; give real and imaginary parts as channels")
    for name, value in (("batch", batch), ("weight", weight)):
        if value is not None and value.shape != target.shape[:1]:
            raise ValueError(f"{name} has shape {list(value.shape)}; with {len(target)} nodes it must be [N]")
    size = 1
    if batch is not None:
        size = num_samples if num_samples is not None else int(batch.max()) + 1 if batch.numel() else 0
    dtype = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    target = target.double()
    return prediction.double() - target, target, _Rows(batch, size, dtype)
