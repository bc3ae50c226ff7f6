"""The metric that a soft mask has learned, at every node."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from ..nn import LearnedMetric
from ..ops.symmetric import full


def learned_metrics(model: nn.Module, data: Data) -> dict[str, Tensor]:
    """A of every layer with ``soft_mask="metric"``, ``{layer: [N, H, D, D]}``: the score gets -d^T A d / l_i^2 for a
    neighbour at the offset d.

    Its trace over D is the strength of the mask that is as narrow on average over directions; its eigenvectors of small
    eigenvalues point where the node looks far.

    Raises:
        ValueError: if the model has no learned metric.
    """
    found: dict[str, Tensor] = {}
    names = {part: name.rpartition(".")[0] for name, part in model.named_modules() if isinstance(part, LearnedMetric)}
    if not names:
        raise ValueError(f"{type(model).__name__} has no learned metric; soft_mask='metric' makes one")

    def keep(part: LearnedMetric, args: tuple[Any, ...], packed: Tensor) -> None:
        found[names[part]] = full(packed.detach(), part.pos_dim)

    handles = [part.register_forward_hook(keep) for part in names]
    try:
        with torch.no_grad():
            model(data)
    finally:
        for handle in handles:
            handle.remove()
    return found
