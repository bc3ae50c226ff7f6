"""Other ways to compute KNN attention on N nodes with K neighbours each, to be compared with tiles."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax


def gather(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    neighbour: Tensor,
    pos: Tensor | None = None,
    strength: Tensor | None = None,
    reach: Tensor | None = None,
    direction: Tensor | None = None,
) -> Tensor:
    """Dense gather: rows ``[N, K, H, d]`` of keys and values. ``neighbour [N, K]``."""
    shape = (*neighbour.shape, *k.shape[1:])
    k_j, v_j = (x.index_select(0, neighbour.flatten()).view(shape) for x in (k, v))
    score = (q[:, None] * k_j).sum(-1) * q.shape[-1] ** -0.5  # [N, K, H]
    if pos is not None and strength is not None and reach is not None and direction is not None:
        offset = (pos[neighbour] - pos[:, None]) / reach[:, None, None]
        score = score - strength * offset.square().sum(-1, keepdim=True)
        score = score + torch.einsum("nhp,nkp->nkh", direction, offset)
    return (score.softmax(1)[..., None] * v_j).sum(1)


class Propagate(MessagePassing):
    """The plain message-passing form: score, softmax over the index, weighted sum."""

    def __init__(self) -> None:
        super().__init__(aggr="add", node_dim=0)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, edge_index: Tensor) -> Tensor:
        return self.propagate(edge_index, q=q, k=k, v=v)

    def message(self, q_i: Tensor, k_j: Tensor, v_j: Tensor, index: Tensor, size_i: int) -> Tensor:
        weight = softmax((q_i * k_j).sum(-1) / math.sqrt(q_i.shape[-1]), index, num_nodes=size_i)
        return weight[..., None] * v_j


class OnTiles(nn.Module):
    """Projections and attention on tiles: the counterpart of ``TransformerConv(root_weight=False)``."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)

    def forward(self, x: Tensor, tiles: Any, **geometry: Any) -> Tensor:
        from pyg_neuralops.ops import tiled_attention

        q, k, v = self.qkv(x).view(len(x), 3, self.heads, -1).unbind(1)
        return tiled_attention(q, k, v, tiles, **geometry).flatten(1)


class ReleasedPhysicsAttention(nn.Module):
    """Physics-Attention with the operations of Transolver's released code for irregular meshes, in their order.

    Two projections, explicit head permutations, slices by ``einsum``, three separate projections of the tokens and
    a softmax of their own. Samples of one size only.
    """

    def __init__(self, channels: int, heads: int = 8, num_slices: int = 64) -> None:
        super().__init__()
        self.heads, width = heads, channels // heads
        self.values, self.keys = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.slices = nn.Linear(width, num_slices)
        self.temperature = nn.Parameter(torch.full((1, heads, 1, 1), 0.5))
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mesh: Any) -> Tensor:
        x = x.view(len(mesh.sizes), -1, x.shape[1])  # [B, L, C]
        f, u = (
            part(x).unflatten(2, (self.heads, -1)).permute(0, 2, 1, 3).contiguous() for part in (self.values, self.keys)
        )
        weight = (self.slices(u) / self.temperature).softmax(-1)  # [B, H, L, G]
        token = torch.einsum("bhlc,bhlg->bhgc", f, weight)
        token = token / (weight.sum(2) + 1e-5)[..., None].repeat(1, 1, 1, token.shape[-1])
        q, k, v = self.q(token), self.k(token), self.v(token)
        token = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1) @ v
        y = torch.einsum("bhgc,bhlg->bhlc", token, weight)
        return self.out(y.permute(0, 2, 1, 3).flatten(2)).flatten(0, 1)


def flex_forward(q: Tensor, k: Tensor, v: Tensor, neighbour: Tensor, order: Tensor) -> Any:
    """A call of compiled FlexAttention (forward) with a block mask, nodes in the order of the tiles."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    n = len(q)
    place = order.argsort()
    member = torch.zeros(n, n, dtype=torch.bool)
    member[torch.arange(n)[:, None], place[neighbour[order]]] = True

    def is_edge(batch: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return member[row, column]

    mask = create_block_mask(is_edge, None, None, n, n, device="cpu", BLOCK_SIZE=64)
    parts = [x.detach()[order].transpose(0, 1)[None].contiguous() for x in (q, k, v)]
    compiled = torch.compile(flex_attention)
    return lambda: compiled(*parts, block_mask=mask)


def numba_forward(q: Tensor, k: Tensor, v: Tensor, neighbour: Tensor) -> Any:
    """A compiled loop over nodes (forward), when numba is installed."""
    import numba
    import numpy as np

    @numba.njit(parallel=True, fastmath=True)
    def attend(q: Any, k: Any, v: Any, neighbour: Any, out: Any) -> None:
        n, heads, d = q.shape
        scale = np.float32(1.0 / np.sqrt(d))
        for i in numba.prange(n):
            score = np.empty(neighbour.shape[1], np.float32)
            for h in range(heads):
                largest = np.float32(-np.inf)
                for m in range(len(score)):
                    total = np.float32(0)
                    for c in range(d):
                        total += q[i, h, c] * k[neighbour[i, m], h, c]
                    score[m] = total * scale
                    largest = max(largest, score[m])
                norm = np.float32(0)
                for m in range(len(score)):
                    score[m] = np.exp(score[m] - largest)
                    norm += score[m]
                for c in range(d):
                    total = np.float32(0)
                    for m in range(len(score)):
                        total += score[m] * v[neighbour[i, m], h, c]
                    out[i, h, c] = total / norm

    numba.set_num_threads(torch.get_num_threads())
    arrays = [x.detach().numpy() for x in (q, k, v)]
    out, index = np.empty_like(arrays[0]), neighbour.numpy()
    return lambda: attend(*arrays, index, out)
