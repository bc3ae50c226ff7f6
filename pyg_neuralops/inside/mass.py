"""How much attention the nearest K of a patch hold, and how many a patch needs for the graph to hang together."""

from __future__ import annotations

import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor, nn
from torch_geometric.data import Data

from ..ops import distance_rank
from .patch_attention import PatchAttention, patch_attention


def attention_mass(model: nn.Module, data: Data) -> dict[str, Tensor]:
    """The share of the attention that the K nearest of a patch hold, by layer, for K from 1 on.

    Shapes:
        ``[K]`` means over nodes and heads; rising, 1 at the end.
    """
    return {layer.layer: mass_of(layer) for layer in patch_attention(model, data)}


def mass_of(layer: PatchAttention) -> Tensor:
    """Of one layer ``[K]``, K that of the largest patch. Neighbours are the nearest in the order of the patch."""
    rank, nodes = _ranks(layer.edge_index), len(layer.edge_index[1].unique())
    held = layer.weight.new_zeros(int(rank.max()) + 1).index_add(0, rank, layer.weight.mean(1))
    return held.cumsum(0) / nodes


def connecting_k(edge_index: Tensor, num_nodes: int) -> int:
    """The smallest K with which the K nearest of every patch connect all nodes that the whole patches connect.

    The longest edge of a spanning tree that is shortest by rank: who is i's K-th neighbour is joined to i from K on.
    The nodes of a batch are looked at sample by sample, as no patch leaves its sample.
    """
    source, target = edge_index.cpu().numpy()
    needed = _ranks(edge_index).cpu().numpy() + 1.0
    is_edge = source != target
    # Both directions of a pair are two entries, of which the tree takes the smaller.
    graph = csr_matrix((needed[is_edge], (target[is_edge], source[is_edge])), (num_nodes, num_nodes))
    return int(minimum_spanning_tree(graph).max()) if is_edge.any() else 1


def _ranks(edge_index: Tensor) -> Tensor:
    """The place of each edge in its patch, from 0; patches are sorted by their own distance."""
    return distance_rank(torch.arange(edge_index.shape[1], device=edge_index.device), edge_index[1])
