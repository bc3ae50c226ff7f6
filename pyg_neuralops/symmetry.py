"""``SymmetryAverage``: a model made equivariant, by its mean over a finite group."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from .transforms import RandomSymmetry
from .transforms.symmetry_groups import check_closed, elements

__all__ = ["SymmetryAverage"]


class SymmetryAverage(nn.Module):
    r"""The mean of a model's predictions over a group, each turned back: :math:`\frac1G \sum_g g^{-1} f(g\,x)`.

    Whatever the model, the mean is equivariant under the group, as exactly as positions are rounded. Matrices of your
    own that do not exchange axes need a ``center``, as bounding boxes do not turn with them. It costs a forward pass
    for each element, one after the other, and gradients flow; the model prepares what it needs by itself.

    Args:
        model: in physical units, ``model(data) -> [N, O]`` (or ``[B, O]``), with the channels of ``y``.
        symmetry: names the group, which must be finite, its center and the columns of vectors and tensors; its shift
            and scale are not averaged over.

    Shapes: as the model, for samples and batches.

    Raises:
        ValueError: for matrices that are no group; in forward, for a group that has no end, and as
            :meth:`RandomSymmetry.moved`.
    """

    def __init__(self, model: nn.Module, symmetry: RandomSymmetry):
        super().__init__()
        if isinstance(symmetry.group, Tensor):
            check_closed(symmetry.group, symmetry.group.shape[1])
        self.model, self.symmetry = model, symmetry

    def forward(self, data: Data) -> Tensor:
        turns, data = elements(self.symmetry.group, data.pos.shape[1]), copy.copy(data)
        data.y = None  # targets are not moved
        moved = (self.model(self.symmetry.moved(data, turn)) for turn in turns)
        found = [self.symmetry.back(values, data, turn) for values, turn in zip(moved, turns, strict=True)]
        return torch.stack(found).mean(0)
