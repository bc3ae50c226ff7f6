"""Errors of predicted fields: one value per sample, reduced by the caller."""

from __future__ import annotations

import torch
from torch import Tensor


def relative_l2(
    pred: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    weight: Tensor | None = None,
    num_samples: int | None = None,
) -> Tensor:
    r"""Relative L2 error of every sample, over all nodes and channels.

    .. math:: e_b = \sqrt{\sum_{i \in b} w_i |\hat y_i - y_i|^2} \Big/ \sqrt{\sum_{i \in b} w_i |y_i|^2}

    Without ``weight`` this is the node sum of the published tables; with the nodal quadrature weights it is
    the integral. A sample whose target is zero everywhere has error 0 if the prediction is exact, else inf.

    Shapes: ``pred, target [N, O]``, ``batch [N]`` (None: one sample), ``weight [N]`` -> ``[B]``. Reading B from
    ``batch`` waits for the device; ``num_samples`` says it beforehand.

    Raises:
        ValueError: if the shapes differ.
    """
    if pred.shape != target.shape or pred.dim() != 2:
        raise ValueError(f"pred has shape {list(pred.shape)} and target {list(target.shape)}; both must be [N, O]")
    error, norm = (pred - target).square().sum(1), target.square().sum(1)  # [N]
    if weight is not None:
        error, norm = error * weight, norm * weight
    if batch is None:
        error, norm = error.sum(0, keepdim=True), norm.sum(0, keepdim=True)  # [1]
    else:
        size = num_samples if num_samples is not None else int(batch[-1]) + 1 if batch.numel() else 0
        error, norm = (torch.zeros(size, dtype=v.dtype, device=v.device).index_add(0, batch, v) for v in (error, norm))
    # Not sqrt(error / norm): the gradient of sqrt at an exact prediction would be infinite.
    tiny = torch.finfo(error.dtype).tiny
    error = error.clamp_min(tiny).sqrt() * (error > 0)
    return torch.where((norm == 0) & (error == 0), error, error / norm.sqrt())
