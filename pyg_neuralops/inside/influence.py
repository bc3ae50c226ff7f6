"""What a node's output depends on, and what gates let through; for any model."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from ..nn import Fusion
from .patch_attention import check_nodes


def influence(model: nn.Module, data: Data, nodes: Sequence[int]) -> Tensor:
    """``|d out_i / d x_j|`` of chosen nodes i, ``[len(nodes), N]``: what attention maps cannot show, for any model.

    The Frobenius norm over channels.

    Raises:
        ValueError: if the data have no input field, or a node is not there.
    """
    check_nodes(nodes, len(data.pos))
    if data.get("x") is None or data.x.shape[1] == 0:
        raise ValueError("the data have no input field x whose influence could be measured")
    data = copy.copy(data)
    data.x = data.x.detach().clone().requires_grad_()
    out = model(data)
    rows = []
    for node in nodes:
        grads = [torch.autograd.grad(value, data.x, retain_graph=True)[0] for value in out[node]]
        rows.append(torch.stack(grads).square().sum((0, 2)).sqrt())  # [N]
    return torch.stack(rows)


def gate_means(model: nn.Module, data: Data) -> dict[str, float]:
    """The balance of every :class:`Fusion` that learns one, on ``data``: 1 is its first mixer alone, 0 the others."""
    with torch.no_grad():
        model(data)
    gated = {name: m for name, m in model.named_modules() if isinstance(m, Fusion) and m.mode != "concat"}
    return {name: float(module.mean_gate) for name, module in gated.items()}
