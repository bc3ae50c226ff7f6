"""``EdgeModel``: a model in the form in which PyG's explainers call it."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data

from ..nn import KNNAttention
from .patch_attention import watching, weights_of


class EdgeModel(nn.Module):
    """A model as ``model(x, edge_index)`` on one sample, the form in which PyG's explainers call it.

    Hand ``edge_index`` of this object to the explainer: the patches where the model has some, else the mesh edges.
    ``AttentionExplainer`` finds the attention of patch layers, and that of PyG's own attention layers.

    Args:
        model: any model of this library, normalised or not. data: the sample.
    """

    def __init__(self, model: nn.Module, data: Data):
        super().__init__()
        self.model, self.data = model, model.prepare(copy.copy(data))  # type: ignore[operator]
        self.layers = [module for module in model.modules() if isinstance(module, KNNAttention)]
        self.on_patches = bool(self.layers) or self.data.get("edge_index") is None

    @property
    def edge_index(self) -> Tensor:
        return self.data.patch_index if self.on_patches else self.data.edge_index

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        data = copy.copy(self.data)
        data.x = x
        data["patch_index" if self.on_patches else "edge_index"] = edge_index

        def publish(name: str, layer: KNNAttention, edge_index: Tensor, kwargs: dict[str, Any]) -> None:
            # Where AttentionExplainer looks when a layer's messages have no argument called alpha.
            layer._alpha = weights_of(layer, kwargs)

        if not self.layers:
            return self.model(data)
        with watching(self.model, publish):
            out = self.model(data)
        for layer in self.layers:
            layer._alpha = None
        return out
