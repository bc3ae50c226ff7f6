"""``MeshGraphConv``: one processor step of MeshGraphNet, which updates edges and then nodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from .initial import reset_parts
from .mlp import MLP


class MeshGraphConv(MessagePassing):
    r"""Processor step of MeshGraphNet (Pfaff et al. 2021, arXiv 2010.03409, eq. 1).

    .. math::
        e'_{ij} = e_{ij} + f_e(e_{ij}, x_i, x_j), \qquad x'_i = x_i + f_x\Big(x_i, \sum_j e'_{ij}\Big)

    The sum takes the updated edges, as in the paper; the released code sums the updates :math:`f_e` alone, and adds
    the residual to the edges afterwards.
    The :math:`f` are MLPs of two hidden ReLU layers and a LayerNorm on the output. The first layer of
    :math:`f_e` is applied to nodes before they are gathered to edges: the same sum, at N rows instead of E.

    Args:
        channels: C of nodes and edges.

    Shapes: ``x [N, C], edge_index [2, E], e [E, C] -> ([N, C], [E, C])``.
    """

    def __init__(self, channels: int):
        super().__init__(aggr="add")
        self.channels = channels
        self.edge_in = nn.Linear(channels, channels)
        self.source_in, self.target_in = (nn.Linear(channels, channels, bias=False) for _ in range(2))
        self.edge_mlp = nn.Sequential(nn.ReLU(), MLP(channels, channels, channels, act=nn.ReLU), nn.LayerNorm(channels))
        self.node_mlp = nn.Sequential(
            MLP(2 * channels, channels, channels, channels, act=nn.ReLU), nn.LayerNorm(channels)
        )

    def reset_parameters(self) -> None:
        reset_parts(self)

    def forward(self, x: Tensor, edge_index: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        source, target = self.source_in(x), self.target_in(x)
        e = self.edge_updater(edge_index, source=source, target=target, e=e)
        # propagate_type: (e: Tensor)
        total = self.propagate(edge_index, e=e, size=(x.shape[0], x.shape[0]))
        return x + self.node_mlp(torch.cat([x, total], 1)), e

    def edge_update(self, source_j: Tensor, target_i: Tensor, e: Tensor) -> Tensor:
        return e + self.edge_mlp(self.edge_in(e) + source_j + target_i)

    def message(self, e: Tensor) -> Tensor:
        return e

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.channels})"
