"""Softmax attention with the nodes of one sample each: to latents, from latents, among nodes.

Samples of one size are a view ``[B, L, ...]``. Others are padded and masked, or, where ``mesh.lengths`` says that
padding would cost more (on the CPU), taken one by one: the same numbers, and never a softmax over padding.
"""

from __future__ import annotations

from collections.abc import Iterator

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
        return torch.cat([attend(q, a, b, scale=scale) for a, b in _samples(mesh, k, v)])
    q = q.expand(mesh.sizes.shape[0], -1, -1, -1)
    # The long sequences one after the other in memory: SDPA reads them M times.
    k, v = (to_dense(x, mesh).contiguous() for x in (k, v))
    return attend(q, k, v, key_mask(mesh), scale)


def scatter(q: Tensor, k: Tensor, v: Tensor, mesh: Mesh, scale: float | None = None) -> Tensor:
    """Nodes ``q [N, H, d]`` over the latents of their sample, ``k, v [B, H, M, d] -> [N, H, d]``."""
    if _one_by_one(mesh):
        parts = zip(_samples(mesh, q), k.split(1), v.split(1), strict=True)
        return torch.cat([attend(a, b, c, scale=scale)[0].transpose(0, 1) for (a,), b, c in parts])
    return to_flat(attend(to_dense(q, mesh), k, v, scale=scale), mesh)


def among(q: Tensor, k: Tensor, v: Tensor, mesh: Mesh) -> Tensor:
    """Nodes over the nodes of their sample, ``q, k, v [N, H, d] -> [N, H, d]``."""
    if _one_by_one(mesh):
        return torch.cat([attend(a, b, c)[0].transpose(0, 1) for a, b, c in _samples(mesh, q, k, v)])
    q, k, v = (to_dense(x, mesh) for x in (q, k, v))  # [B, H, L, d]
    return to_flat(attend(q, k, v, key_mask(mesh)), mesh)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, scale: float | None = None) -> Tensor:
    """``[B, H, queries, d], [B, H, keys, d] -> [B, H, queries, d]``."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def key_mask(mesh: Mesh) -> Tensor | None:
    """True where a padded row holds a node, ``[B, 1, 1, L]``; None when all samples have one size.

    Masked keys have weight exactly 0 in a softmax over nodes, so a sample does not see how long its batch mates
    are.
    """
    return None if mesh.filled is None else mesh.filled[:, None, None, :]


def _one_by_one(mesh: Mesh) -> bool:
    # A compiled graph must hold for any sizes, so there it is padding.
    return not torch.compiler.is_compiling() and mesh.lengths is not None


def _samples(mesh: Mesh, *xs: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The flat tensors ``[N, H, d]`` cut into samples ``[1, H, n, d]``."""
    return zip(*([part.transpose(0, 1)[None] for part in x.split(mesh.lengths)] for x in xs), strict=True)
