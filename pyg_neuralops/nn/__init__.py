"""Layers: node features to node features, one idea per file."""

from .block import Block
from .efficient_attention import EfficientAttention
from .fusion import Fusion
from .galerkin_attention import GalerkinAttention
from .graph_mixer import GraphMixer
from .knn_attention import KNNAttention
from .memory import limit_memory
from .mesh_graph_conv import MeshGraphConv
from .mlp import MLP
from .patch_mixer import PatchMixer

__all__ = [
    "MLP",
    "Block",
    "EfficientAttention",
    "Fusion",
    "GalerkinAttention",
    "GraphMixer",
    "KNNAttention",
    "MeshGraphConv",
    "PatchMixer",
    "limit_memory",
]
