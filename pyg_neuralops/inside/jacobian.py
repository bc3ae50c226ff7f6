"""A model as a linear operator around one sample: its Jacobian and singular values."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch_geometric.data import Data


def jacobian(model: nn.Module, data: Data, *, input_channel: int = 0, output_channel: int = 0) -> Tensor:
    """``d out_i / d x_j`` of one channel each, ``[N, N]``, in the units of the sample; a backward pass a node.

    Raises:
        ValueError: if the data have no such input channel, or the model no such output channel.
    """
    channels = 0 if data.get("x") is None else data.x.shape[1]
    if not 0 <= input_channel < channels:
        raise ValueError(f"input_channel={input_channel}; the data have {channels} input channels")
    data = copy.copy(data)
    data.x = data.x.detach().clone().requires_grad_()
    out = model(data)
    if not 0 <= output_channel < out.shape[1]:
        raise ValueError(f"output_channel={output_channel}; the model has {out.shape[1]} output channels")
    rows = [
        torch.autograd.grad(value, data.x, retain_graph=True)[0][:, input_channel] for value in out[:, output_channel]
    ]
    return torch.stack(rows)


def operator_spectrum(matrix: Tensor, weight: Tensor) -> Tensor:
    """Singular values, descending ``[N]``, of a map between fields on nodes, in the norm of L2 on the domain.

    A field v has the norm sqrt(sum_i w_i v_i²); the values are those of W^1/2 J W^-1/2, and on finer meshes of the same
    map the first ones stay.

    Args:
        matrix: J ``[N, N]``.
        weight: positive quadrature weights ``[N]``, such as ``data.weight``.

    Raises:
        ValueError: for weights that are not positive.
    """
    if not (weight > 0).all():
        raise ValueError(
            f"node {int((weight <= 0).nonzero()[0])} has weight {float(weight.min())}; it must be positive"
        )
    root = weight.double().sqrt()
    return torch.linalg.svdvals(root[:, None] * matrix.double() / root)


def effective_rank(values: Tensor, energy: float = 0.99) -> int:
    """The fewest singular values whose squares hold this part of the sum of all squares."""
    part = values.square().cumsum(0) / values.square().sum()
    return int((part < energy).sum()) + 1
