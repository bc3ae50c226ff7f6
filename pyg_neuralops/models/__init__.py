"""Encoder -> blocks -> decoder: whole models, ``model(data) -> [N, out_channels]``."""

from .base import BlockStack, NeuralOperator
from .graph_networks import GATv2, GraphSAGE
from .la2former import LA2Former
from .mesh_graph_net import MeshGraphNet
from .registry import MODELS, build_model, model_name

__all__ = [
    "MODELS",
    "BlockStack",
    "GATv2",
    "GraphSAGE",
    "LA2Former",
    "MeshGraphNet",
    "NeuralOperator",
    "build_model",
    "model_name",
]
