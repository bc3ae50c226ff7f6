"""Functions on tensors, without parameters."""

from .ball_graph import ball_graph, domain_length, domain_reach
from .edge_attention import edge_attention
from .edge_fields import PER_FIELD, edge_attributes, edge_channels, edge_field
from .edges import distance_rank, edge_offsets, edge_shares, incoming_reach, nearest_image, relative_positions
from .knn import available_backends, knn_graph
from .metric_knn import metric_knn_graph
from .reachable_knn import reachable_knn_graph
from .spread_order import spread_order
from .tiles import EdgeTiles, tiled_attention

__all__ = [
    "PER_FIELD",
    "EdgeTiles",
    "available_backends",
    "ball_graph",
    "distance_rank",
    "domain_length",
    "domain_reach",
    "edge_attention",
    "edge_attributes",
    "edge_channels",
    "edge_field",
    "edge_offsets",
    "edge_shares",
    "incoming_reach",
    "knn_graph",
    "metric_knn_graph",
    "nearest_image",
    "reachable_knn_graph",
    "relative_positions",
    "spread_order",
    "tiled_attention",
]
