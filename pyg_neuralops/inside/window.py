"""How far the patches of a layer reach once their soft mask is learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from ..ops import distance_rank
from .patch_attention import patch_attention

NEAR = 0.25  # the nearest quarter of a patch


@dataclass(frozen=True)
class Window:
    """The effective window of one layer, per head.

    Shapes: ``distance [H]`` mean of d_ij / l_i under the soft mask: 0.67 for a uniform disc, less for a stronger
    mask; ``attended [H]`` the same under the attention itself; ``near [H]`` share of the attention inside the
    nearest quarter of a patch. Averages over nodes.
    """

    layer: str
    distance: Tensor
    attended: Tensor
    near: Tensor


def effective_window(model: nn.Module, data: Data) -> list[Window]:
    """How far the patches of every layer reach (methods as in LA2Former, arXiv 2504.13480)."""
    windows = []
    for layer in patch_attention(model, data):
        target = layer.edge_index[1]
        count = torch.bincount(target)
        # A quarter of a patch, and of the smallest patches the node itself.
        near = distance_rank(layer.distance, target) < (NEAR * count).clamp_min(1).index_select(0, target)
        nodes = int((count > 0).sum())
        distance = layer.distance.to(layer.weight.dtype)[:, None]
        windows.append(
            Window(
                layer.layer,
                distance=(layer.mask * distance).sum(0) / nodes,
                attended=(layer.weight * distance).sum(0) / nodes,
                near=layer.weight[near].sum(0) / nodes,
            )
        )
    return windows
