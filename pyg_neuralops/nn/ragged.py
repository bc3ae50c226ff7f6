"""Softmax attention with the nodes of one sample each: to latents, from latents, among nodes.

Samples of one size are a view ``[B, L, ...]``. Others are padded and masked, or, where ``mesh.lengths`` says that
padding would cost more (on the CPU), taken one by one: the same numbers, and never a softmax over padding. A softmax
over nodes counts them by ``mesh.weight``, where it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import Mesh


def split_heads(x: Tensor, heads: int) -> Tensor:
    """``[..., H d] -> [..., H, d]``, a view."""
    return x.unflatten(-1, (heads, -1))


def to_dense(x: Tensor, mesh: Mesh) -> Tensor:
    """``[N, H, d] -> [B, H, L, d]``."""
    return mesh.dense(x).transpose(1, 2)


def to_flat(x: Tensor, mesh: Mesh) -> Tensor:
    """``[B, H, L, d] -> [N, H, d]``."""
    return mesh.flat(x.transpose(1, 2))


def gather(q: Tensor, k: Tensor, v: Tensor, mesh: Mesh, scale: float | None = None) -> Tensor:
    """Queries ``q [H, M, d]`` over the nodes of each sample, ``k, v [N, H, d] -> [B, H, M, d]``."""
    q = q[None]
    if _one_by_one(mesh):
        return torch.cat(
            [attend(q, a, b, m, scale) for (a, b), m in zip(_samples(mesh, k, v), _masks(mesh, q.dtype), strict=True)]
        )
    q = q.expand(mesh.sizes.shape[0], -1, -1, -1)
    # The long sequences one after the other in memory: SDPA reads them M times.
    k, v = (to_dense(x, mesh).contiguous() for x in (k, v))
    return attend(q, k, v, key_mask(mesh, q.dtype), scale)


def scatter(q: Tensor, k: Tensor, v: Tensor, mesh: Mesh, scale: float | None = None) -> Tensor:
    """Nodes ``q [N, H, d]`` over the latents of their sample, ``k, v [B, H, M, d] -> [N, H, d]``."""
    if _one_by_one(mesh):
        parts = zip(_samples(mesh, q), k.split(1), v.split(1), strict=True)
        return torch.cat([attend(a, b, c, scale=scale)[0].transpose(0, 1) for (a,), b, c in parts])
    return to_flat(attend(to_dense(q, mesh), k, v, scale=scale), mesh)


def among(q: Tensor, k: Tensor, v: Tensor, mesh: Mesh) -> Tensor:
    """Nodes over the nodes of their sample, ``q, k, v [N, H, d] -> [N, H, d]``."""
    if _one_by_one(mesh):
        parts = zip(_samples(mesh, q, k, v), _masks(mesh, q.dtype), strict=True)
        return torch.cat([attend(a, b, c, m)[0].transpose(0, 1) for (a, b, c), m in parts])
    q, k, v = (to_dense(x, mesh) for x in (q, k, v))  # [B, H, L, d]
    return to_flat(attend(q, k, v, key_mask(mesh, q.dtype)), mesh)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, scale: float | None = None) -> Tensor:
    """``[B, H, queries, d], [B, H, keys, d] -> [B, H, queries, d]``."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def key_mask(mesh: Mesh, dtype: torch.dtype) -> Tensor | None:
    """The mask of a softmax over nodes, ``[B, 1, 1, L]``: the log of their weights in ``dtype`` and -inf for padding;
    without weights True where a padded row holds a node, and None when all samples have one size.

    Masked keys have weight exactly 0 in a softmax over nodes, so a sample does not see how long its batch mates
    are.
    """
    if mesh.log_weight is None:
        return None if mesh.filled is None else mesh.filled[:, None, None, :]
    mask = mesh.dense(mesh.log_weight.to(dtype))  # [B, L]
    mask = mask if mesh.filled is None else mask.masked_fill(~mesh.filled, float("-inf"))
    return mask[:, None, None, :]


def over_nodes(score: Tensor, mesh: Mesh) -> Tensor:
    """Scores ``[B, ..., L, c]`` as a softmax over their nodes needs them: the same mask, added."""
    shape = [mesh.sizes.shape[0], *[1] * (score.dim() - 3), -1, 1]
    if mesh.log_weight is not None:
        score = score + mesh.dense(mesh.log_weight.to(score.dtype)).view(shape)
    return score if mesh.filled is None else score.masked_fill(~mesh.filled.view(shape), float("-inf"))


def _one_by_one(mesh: Mesh) -> bool:
    # A compiled graph must hold for any sizes, so there it is padding.
    return not torch.compiler.is_compiling() and mesh.lengths is not None


def _masks(mesh: Mesh, dtype: torch.dtype) -> Sequence[Tensor | None]:
    """The mask of each sample, ``[1, 1, 1, n]``; None without weights."""
    if mesh.log_weight is None:
        return [None] * mesh.sizes.shape[0]
    return [part[None, None, None] for part in mesh.log_weight.to(dtype).split(mesh.lengths)]


def _samples(mesh: Mesh, *xs: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The flat tensors ``[N, H, d]`` cut into samples ``[1, H, n, d]``."""
    return zip(*([part.transpose(0, 1)[None] for part in x.split(mesh.lengths)] for x in xs), strict=True)
