"""``UpwindGNN``: a graph network whose messages carry its state with the flow, and lose nothing of it."""

from __future__ import annotations

from collections.abc import Sequence

from torch_geometric.transforms import BaseTransform

from ..nn import UpwindConv
from ..ops import edge_channels
from ..transforms import GraphEdges
from ..typed import typed
from .base import BlockStack


class UpwindGNN(BlockStack):
    """Learned upwind fluxes on mesh edges (:class:`UpwindConv`), beside a pointwise feed-forward, in pre-LN blocks.
    What the fluxes add conserves totals; the feed-forwards, which stand for sources, do not.

    A step carries by one edge, so it has as many layers as MeshGraphNet. The idea is that of conservative upwind graph
    networks (arXiv 2604.15617); the model is ours.

    Args:
        k: neighbours on point clouds (meshes use their own edges).
        measure: as :class:`LA2Former`; weights are the w of the fluxes' balance.
        wind: name of the sample's flow, ``[N, D]``.
        others: as :class:`LA2Former`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 128,
        num_layers: int = 15,
        k: int = 6,
        coords: bool | str = True,
        ratio: float = 2,
        measure: bool | str = False,
        wind: str = "wind",
    ):
        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=lambda layer: UpwindConv(hidden_channels),
            coords=coords,
            ratio=ratio,
            measure=measure,
        )
        self.k, self.wind = k, typed(wind, str, "wind")

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        channels = edge_channels(self.pos_dim, (self.wind,))
        return (GraphEdges(self.k, channels=channels, fields=(self.wind,), flow=True),)
