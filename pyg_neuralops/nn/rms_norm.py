"""``RMSNorm``: torch's, fit for mixed precision and fast on the CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6


class RMSNorm(nn.RMSNorm):
    """``x / sqrt(mean(x²) + 1e-6) * weight`` over the last axis, ``[..., C] -> [..., C]``.

    Torch's default epsilon is that of the input's precision, 0.008 for bfloat16, and weights of another precision
    than the input leave its fused kernel with a warning; so both are settled here.
    """

    def __init__(self, channels: int):
        super().__init__(channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype)
        return F.rms_norm(x, self.normalized_shape, weight, self.eps) if x.is_cuda else normalize(x) * weight


def normalize(x: Tensor) -> Tensor:
    """``x / sqrt(mean(x²) + 1e-6)`` over the last axis, ``[..., C] -> [..., C]``."""
    if x.is_cuda:
        return F.rms_norm(x, x.shape[-1:], eps=EPS)
    if torch.compiler.is_compiling():  # a compiler fuses by itself
        return x * _scale(x)
    return _Normalize.apply(x)[0]


def _scale(x: Tensor) -> Tensor:
    statistics = torch.promote_types(x.dtype, torch.float32)
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=statistics)  # [..., 1]
    return torch.rsqrt(norm.square() / x.shape[-1] + EPS).to(x.dtype)


class _Normalize(torch.autograd.Function):
    """The norm as one reduction and one product each way; torch has no fused kernel for it on the CPU.

    The scale is an output too, so that what is saved is differentiable and second derivatives are right.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        scale = _scale(x)
        y = x * scale
        ctx.save_for_backward(y, scale)
        ctx.set_materialize_grads(False)
        return y, scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Tensor | None:
        y, scale = ctx.saved_tensors
        grad_y, grad_scale = grads
        found = None
        if grad_y is not None:
            along = (grad_y * y).sum(-1, keepdim=True) / -y.shape[-1]
            found = torch.addcmul(grad_y, y, along) * scale
        if grad_scale is not None:  # d scale / dx = -scale² y / C
            extra = grad_scale * scale.square() * y / -y.shape[-1]
            found = extra if found is None else found + extra
        return found
