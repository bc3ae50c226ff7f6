"""``MeshGraphNet``: encode nodes and edges, process both on the mesh, decode nodes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.transforms import BaseTransform

from ..data import Mesh
from ..nn import MLP, MeshGraphConv, Positions
from ..ops import edge_channels
from ..transforms import GraphEdges
from ..transforms.graph_edges import check_fields
from .base import NeuralOperator, check_sizes


class MeshGraphNet(NeuralOperator):
    """MeshGraphNet (Pfaff et al. 2021, arXiv 2010.03409): 15 processor steps at 128 channels in the paper.

    Edges carry relative position and length (or D + 1 attributes of the sample's own); nodes see no absolute position
    unless ``coords`` is set, so the model is translation-invariant. Deviation from the released code, not from the
    paper: :class:`MeshGraphConv`.

    Args:
        k: neighbours on point clouds (meshes use their own edges).
        coords: whether the node encoder sees the (scaled) positions, "reference-grid" or "fourier"
            (:class:`Positions`).
        measure: False or "auto", which is the same here: messages are summed, not averaged.
        edge_fields: names of vectors and tensors of the sample that edges carry too, such as ("wind",): what a vector
            is along and across the edge, and e^T A e of a tensor and its inverse (:func:`.ops.edge_fields.edge_field`).
        others: as :class:`LA2Former`.
    """

    weighs = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 15,
        k: int = 6,
        coords: bool | str = False,
        measure: bool | str = False,
        edge_fields: Sequence[str] = (),
    ):
        super().__init__()
        check_sizes(in_channels, out_channels, pos_dim, hidden_channels, num_layers)
        self.set_measure(measure)
        self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, pos_dim
        self.hidden_channels, self.num_layers, self.k, self.coords = hidden_channels, num_layers, k, coords
        self.edge_fields, width = check_fields(edge_fields), hidden_channels

        def encoder(channels: int) -> nn.Module:
            return nn.Sequential(MLP(channels, width, width, width, act=nn.ReLU), nn.LayerNorm(width))

        # A constant input stands in where a node has no feature at all.
        self.positions = Positions(coords, pos_dim=pos_dim)
        self.node_encoder = encoder(max(1, in_channels + self.positions.channels))
        self.edge_encoder = encoder(self.edge_channels)
        self.steps = nn.ModuleList(MeshGraphConv(width) for _ in range(num_layers))
        self.decoder = MLP(width, width, width, out_channels, act=nn.ReLU)

    @property
    def edge_channels(self) -> int:
        return edge_channels(self.pos_dim, self.edge_fields)

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        return (GraphEdges(self.k, channels=self.edge_channels, fields=self.edge_fields),)

    def core(self, x: Tensor, mesh: Mesh) -> Tensor:
        x = torch.cat([x, self.positions(mesh.coords).to(x.dtype)], 1)
        if x.shape[1] == 0:
            x = x.new_ones(x.shape[0], 1)
        x, e = self.node_encoder(x), self.edge_encoder(mesh.edge_attr)  # [N, C], [E, C]
        for step in self.steps:
            x, e = step(x, mesh.edge_index, e)
        return self.decoder(x)  # [N, O]
