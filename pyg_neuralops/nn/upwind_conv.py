"""``UpwindConv``: learned fluxes between the nodes of a mesh, from where the flow comes; nothing is lost on the way."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.utils import scatter

from ..data import Mesh
from ..ops import edge_channels
from .initial import Layer

LEAST = 1e-3
"""Of the mean weight of a sample: a node of less is taken for one of this, so that no flux makes it too large."""


class UpwindConv(Layer):
    r"""First-order upwind fluxes on edges, of finite volumes, with learned functions in place of the known ones.

    .. math::
        y_i = \frac{1}{w_i} \sum_j F_{ij}, \qquad
        F_{ij} = -a_{ij}\,\varphi(x_{\mathrm{up}}, s_{ij}) + \psi(x_i + x_j, s_{ij}) \odot (x_j - x_i)

    is what enters node i from its neighbour j. :math:`a_{ij} = \frac12 (u_i + u_j) \cdot e_{ij}` is the flow along the
    edge, e from i to j; :math:`x_{\mathrm{up}}` is :math:`x_j` where it comes from j (a < 0), else :math:`x_i`;
    :math:`s_{ij}` are the length of the edge, |a| and the flow across it. :math:`\varphi` is linear in x plus a layer
    with GELU, :math:`\psi > 0` a softplus, small at the start. Each edge is read in both directions and gives half of
    the difference, so :math:`F_{ij} = -F_{ji}` and :math:`\sum_i w_i y_i = 0` whatever was learned: added to x,
    y changes no total, as far as no weight is below a thousandth of the mean one, for which such a node is taken. The
    idea, conservation and an upwind choice in a graph network, is that of others (arXiv 2604.15617); this form is ours.

    Args:
        channels: C.

    Shapes: ``x [N, C], mesh -> [N, C]``; the last three columns of ``mesh.edge_attr`` are the length, a and the flow
    across; w is ``mesh.weight``, 1 where there is none.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.value = nn.Linear(channels, channels, bias=False)
        self.upwind_in, self.edge_in = nn.Linear(channels, channels, bias=False), nn.Linear(3, channels)
        self.flux = nn.Linear(channels, channels)
        self.spread_in, self.spread_edge = nn.Linear(channels, channels, bias=False), nn.Linear(3, channels)
        self.reset_own()

    def reset_own(self) -> None:
        nn.init.constant_(self.spread_edge.bias, -3.0)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        edge_index, edge_attr = mesh.edge_index, mesh.edge_attr
        if edge_index is None or edge_attr is None:
            raise ValueError("the mesh has no edges with the flow on them; apply GraphEdges (model.prepare does)")
        columns = edge_channels(mesh.pos.shape[1], ("flow",))
        if edge_attr.shape[1] != columns:
            raise ValueError(f"edges have {edge_attr.shape[1]} attributes, where those with one flow have {columns}")
        source, target = edge_index
        flux = self.carried(x, edge_index, edge_attr) + self.spread(x, edge_index, edge_attr)
        count = x.shape[0]
        total = (scatter(flux, target, 0, count) - scatter(flux, source, 0, count)) / 2  # [N, C]
        return total if mesh.weight is None else total / mesh.weight.clamp_min(LEAST).to(total.dtype)[:, None]

    def carried(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """What the flow carries along each edge, into its target. ``-> [E, C]``"""
        along = edge_attr[:, -2]
        upwind = torch.where(along < 0, edge_index[0], edge_index[1])
        hidden = self.upwind_in(x).index_select(0, upwind) + self.edge_in(_even(edge_attr))
        return -along[:, None] * (self.value(x).index_select(0, upwind) + self.flux(F.gelu(hidden)))

    def spread(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """What passes along each edge from the larger to the smaller, into its target. ``-> [E, C]``"""
        score = self.spread_in(x)
        source, target = edge_index
        both = score.index_select(0, source) + score.index_select(0, target)
        difference = x.index_select(0, source) - x.index_select(0, target)
        return F.softplus(both + self.spread_edge(_even(edge_attr))) * difference

    def extra_repr(self) -> str:
        return f"{self.channels}"


def _even(edge_attr: Tensor) -> Tensor:
    """What is the same read from either end, ``[E, 3]``: the length, the size of the flow along and that across."""
    length, along, across = edge_attr[:, -3:].unbind(1)
    return torch.stack([length, along.abs(), across], 1)
