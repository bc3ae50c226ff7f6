"""``SteadyGradient``: a field on a grid, trained on its values and its derivatives."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from ..metrics import relative_l2
from .task import SteadyField


class SteadyGradient(SteadyField):
    r"""Adds the errors of the derivatives along the grid's axes to the loss; scored on values alone.

    .. math:: \ell = e(\hat y, y) + \lambda \sum_a e(\partial_a \hat y, \partial_a y)

    with e the relative L2 error and central differences at the inner nodes of grids with equal spacing; after the
    Transolver family's loss for Darcy, which has :math:`\lambda = 0.1` too, but differences up to the boundary, where
    it puts the prediction to zero.

    Args:
        strength: :math:`\lambda`.

    Raises:
        ValueError: if ``strength`` is negative; in :meth:`loss`, for samples that are not grids of at least three
            nodes along each axis.
    """

    def __init__(self, strength: float = 0.1):
        if not strength >= 0:
            raise ValueError(f"strength={strength}; it must be at least 0")
        self.strength = strength

    def __repr__(self) -> str:
        return f"SteadyGradient(strength={self.strength})"

    def loss(self, prediction: Tensor, item: Data) -> Tensor:
        shapes = item.get("grid_shape")
        if shapes is None:
            raise ValueError("the derivatives' loss needs samples on structured grids (data.grid_shape)")
        shapes = [shapes] if item.get("batch") is None else shapes
        if min(map(min, shapes)) < 3:
            raise ValueError(f"grid_shape={min(shapes)}; central differences need at least 3 nodes along each axis")
        sizes = [int(torch.Size(shape).numel()) for shape in shapes]
        pairs = zip(prediction.split(sizes), item.y.split(sizes), shapes, strict=True)
        # A target that does not change along an axis has no relative error there: NaN, left out.
        extra = [
            torch.cat(
                [
                    relative_l2(
                        difference(one.unflatten(0, tuple(shape)), axis),
                        difference(two.unflatten(0, tuple(shape)), axis),
                    )
                    for axis in range(len(shape))
                ]
            ).nansum()
            for one, two, shape in pairs
        ]
        return super().loss(prediction, item) + self.strength * torch.stack(extra)  # [B]


def difference(field: Tensor, axis: int) -> Tensor:
    """Central differences along one axis at the inner nodes, in steps of the grid. ``[n_1, ..., n_D, O] -> [M, O]``

    The grid's spacing cancels in a relative error.
    """
    inner = [slice(1, -1)] * (field.dim() - 1)
    ahead, behind = ([*inner[:axis], part, *inner[axis + 1 :]] for part in (slice(2, None), slice(None, -2)))
    return (field[tuple(ahead)] - field[tuple(behind)]).flatten(0, -2)
