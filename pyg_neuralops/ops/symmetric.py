"""Symmetric D x D matrices as their lower triangles, row by row: (A11, A21, A22, A31, A32, A33)."""

from __future__ import annotations

import torch
from torch import Tensor


def triangle_size(dim: int) -> int:
    """Entries of a lower triangle, D (D + 1) / 2."""
    return dim * (dim + 1) // 2


def _place(i: int, j: int) -> int:
    """Where the entry (i, j) of a symmetric matrix stands."""
    return triangle_size(max(i, j)) + min(i, j)


def _total(terms: list[Tensor]) -> Tensor:
    return sum(terms[1:], terms[0])


def full(packed: Tensor, dim: int) -> Tensor:
    """``[..., D (D + 1) / 2] -> [..., D, D]``."""
    entries = packed.unbind(-1)
    return torch.stack([torch.stack([entries[_place(i, j)] for j in range(dim)], -1) for i in range(dim)], -2)


def gram(factor: Tensor, dim: int) -> Tensor:
    """The triangle of A = L L^T from that of L. ``[..., D (D + 1) / 2] -> [..., D (D + 1) / 2]``."""
    l = factor.unbind(-1)  # noqa: E741
    return torch.stack(
        [
            _total([l[_place(i, k)] * l[_place(j, k)] for k in range(j + 1)])  # L_ik is zero for k > i
            for i in range(dim)
            for j in range(i + 1)
        ],
        -1,
    )


def times(packed: Tensor, x: Tensor) -> Tensor:
    """``A x``. ``packed [..., D (D + 1) / 2], x [..., D] -> [..., D]``."""
    entries, parts, axes = packed.unbind(-1), x.unbind(-1), range(x.shape[-1])
    return torch.stack([_total([entries[_place(i, j)] * parts[j] for j in axes]) for i in axes], -1)


def products(x: Tensor) -> Tensor:
    """The triangle of x x^T, twice beside the diagonal: its product with that of A is ``x^T A x``.

    Shapes:
        ``x [..., D] -> [..., D (D + 1) / 2]``.
    """
    parts = x.unbind(-1)
    pairs = [(i, j) for i in range(len(parts)) for j in range(i + 1)]
    return torch.stack([parts[i].square() if i == j else 2 * parts[i] * parts[j] for i, j in pairs], -1)


def check_metric(metric: Tensor | None, strength: Tensor | float | None, q: Tensor, pos: Tensor | None) -> None:
    """ValueError unless ``metric`` fits ``q [N, H, d]`` and ``pos [N, D]``, in place of a strength."""
    if metric is None:
        return
    if strength is not None:
        raise ValueError("strength and metric are two forms of one term; give one of them")
    if pos is None:
        raise ValueError("pos=None, but metric is a function of the positions")
    shape = [*q.shape[:2], triangle_size(pos.shape[1])]
    if list(metric.shape) != shape:
        raise ValueError(f"metric has shape {list(metric.shape)}, but {shape} is needed: lower triangles of [D, D]")
