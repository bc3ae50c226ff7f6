"""What is added to a sample before a model reads it: one ``BaseTransform`` per file."""

from .boundary_distance import BoundaryDistance
from .boundary_marks import BoundaryMarks
from .characteristic import Characteristic
from .graph_edges import GraphEdges
from .knn_patches import KNNPatches
from .laplacian_modes import LaplacianModes
from .local_spacing import LocalSpacing
from .mesh_edges import MeshEdges
from .metric_text import METRICS, parse_metric
from .node_features import NodeFeatures
from .node_weights import NodeWeights
from .normals import Normals
from .patch_metric import Anisotropic, PatchMetric, Upwind
from .random_symmetry import RandomSymmetry
from .standardize import Standardize

__all__ = [
    "METRICS",
    "Anisotropic",
    "BoundaryDistance",
    "BoundaryMarks",
    "Characteristic",
    "GraphEdges",
    "KNNPatches",
    "LaplacianModes",
    "LocalSpacing",
    "MeshEdges",
    "NodeFeatures",
    "NodeWeights",
    "Normals",
    "PatchMetric",
    "RandomSymmetry",
    "Standardize",
    "Upwind",
    "parse_metric",
]
