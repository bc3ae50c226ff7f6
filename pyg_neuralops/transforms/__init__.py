"""What is added to a sample before a model reads it: one ``BaseTransform`` per file."""

from .graph_edges import GraphEdges
from .knn_patches import KNNPatches
from .mesh_edges import MeshEdges
from .metric_text import parse_metric
from .node_weights import NodeWeights
from .patch_metric import METRICS, Anisotropic, PatchMetric, Upwind
from .standardize import Standardize

__all__ = [
    "METRICS",
    "Anisotropic",
    "GraphEdges",
    "KNNPatches",
    "MeshEdges",
    "NodeWeights",
    "PatchMetric",
    "Standardize",
    "Upwind",
    "parse_metric",
]
