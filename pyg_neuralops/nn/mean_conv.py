"""``MeanConv``: GraphSAGE's mean over neighbours, which may count by weight."""

from __future__ import annotations

from torch import Tensor
from torch_geometric.nn import SAGEConv
from torch_geometric.utils import scatter

from ..ops import edge_shares


class MeanConv(SAGEConv):
    r"""PyG's ``SAGEConv`` with mean aggregation (Hamilton et al. 2017, arXiv 1706.02216), and with weights m

    .. math:: y_i = W_1 \frac{\sum_{j \in \mathcal N(i)} m_j x_j}{\sum_{j \in \mathcal N(i)} m_j} + W_2 x_i

    Args:
        channels: C, in and out.

    Shapes: ``x [N, C], edge_index [2, E], weight [N] or None -> [N, C]``; weights are positive.
    """

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(self, x: Tensor, edge_index: Tensor, weight: Tensor | None = None) -> Tensor:  # type: ignore[override]
        if weight is None:
            return super().forward(x, edge_index)
        source, target = edge_index
        message = x.index_select(0, source) * edge_shares(weight, edge_index).to(x.dtype)[:, None]
        return self.lin_l(scatter(message, target, 0, len(x), "mean")) + self.lin_r(x)
