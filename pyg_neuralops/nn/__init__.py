"""Layers: node features to node features, one idea per file."""

from .block import Block
from .efficient_attention import EfficientAttention
from .flare_attention import FLAREAttention
from .fourier_mixer import FourierMixer
from .full_attention import FullAttention
from .fusion import Fusion
from .galerkin_attention import GalerkinAttention
from .graph_mixer import GraphMixer, PointMixer
from .grid import GridConv, GridStencil
from .kernel_integral import KernelIntegral
from .knn_attention import KNNAttention, PatchMixer
from .learned_metric import LearnedMetric
from .low_rank_spatial_attention import LowRankSpatialAttention
from .mean_conv import MeanConv
from .memory import limit_memory
from .mesh_graph_conv import MeshGraphConv
from .mlp import MLP, ResidualMLP
from .physics_attention import PhysicsAttention
from .positions import Positions
from .rms_norm import RMSNorm
from .spectral_conv import SpectralConv
from .spectral_mixer import SpectralMixer
from .time_embedding import TimeEmbedding
from .upwind_conv import UpwindConv

__all__ = [
    "MLP",
    "Block",
    "EfficientAttention",
    "FLAREAttention",
    "FourierMixer",
    "FullAttention",
    "Fusion",
    "GalerkinAttention",
    "GraphMixer",
    "GridConv",
    "GridStencil",
    "KNNAttention",
    "KernelIntegral",
    "LearnedMetric",
    "LowRankSpatialAttention",
    "MeanConv",
    "MeshGraphConv",
    "PatchMixer",
    "PhysicsAttention",
    "PointMixer",
    "Positions",
    "RMSNorm",
    "ResidualMLP",
    "SpectralConv",
    "SpectralMixer",
    "TimeEmbedding",
    "UpwindConv",
    "limit_memory",
]
