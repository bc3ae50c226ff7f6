"""Functions on tensors, without parameters."""

from .edges import distance_rank, incoming_reach, relative_positions
from .knn import available_backends, knn_graph

__all__ = ["available_backends", "distance_rank", "incoming_reach", "knn_graph", "relative_positions"]
