"""``Muon``: matrices step by their orthogonalised momentum, everything else by AdamW."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of Jordan's quintic, steep at zero: five steps bring all but the smallest singular values to 0.7 to 1.2."""


class Muon(Optimizer):
    r"""Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers") for groups with ``matrices=True``, AdamW for
    the others.

    .. math:: B \leftarrow \mu B + G, \qquad W \leftarrow (1 - \eta\lambda) W - 0.2\,\eta \sqrt{\max(m, n)}\,
              \mathrm{NS}_5(G + \mu B)

    for a matrix W [m, n] with gradient G. NS takes a matrix U S V^T close to U V^T; the factor gives the step the size
    that AdamW's has at the same rate (Liu et al. 2025, arXiv 2502.16982). It is the step of ``torch.optim.Muon`` with
    ``adjust_lr_fn="match_rms_adamw"``, but matrices of one shape go through NS together, in float32 on a CPU, which
    only emulates bfloat16.

    Args:
        params: groups of parameters; ``matrices`` (False by default) says which of the two rules each takes.
        lr: :math:`\eta` of groups that bring none.
        weight_decay: :math:`\lambda`, decoupled.
        momentum: :math:`\mu`.
        betas, eps: of AdamW.

    Raises:
        ValueError: for a parameter of a group of matrices that is not a real matrix.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 6e-3,
        *,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        defaults = dict(lr=lr, weight_decay=weight_decay, momentum=momentum, betas=betas, eps=eps, matrices=False)
        super().__init__(params, defaults)
        for group in self.param_groups:
            for weight in group["params"]:
                if group["matrices"] and (weight.dim() != 2 or weight.is_complex()):
                    raise ValueError(f"a parameter {list(weight.shape)} {weight.dtype}; Muon takes real matrices only")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                (self._step_matrices if group["matrices"] else self._step_others)(weights, group)
        return loss

    def _step_matrices(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        grads = [weight.grad for weight in weights if weight.grad is not None]
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        momenta = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, grads)
        ahead = torch._foreach_add(grads, momenta, alpha=group["momentum"])  # Nesterov's
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        sizes = [0.2 * group["lr"] * max(weight.shape) ** 0.5 for weight in weights]
        steps = orthogonalised(ahead)
        torch._foreach_mul_(steps, sizes)
        torch._foreach_sub_(weights, steps)

    def _step_others(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            if "step" not in self.state[weight]:
                zeros = torch.zeros_like(weight)
                self.state[weight].update(step=torch.tensor(0.0), exp_avg=zeros, exp_avg_sq=zeros.clone())
        states = [self.state[weight] for weight in weights]
        adamw(
            weights,
            [weight.grad for weight in weights if weight.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            has_complex=any(weight.is_complex() for weight in weights),
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def orthogonalised(matrices: Sequence[Tensor]) -> list[Tensor]:
    r"""Each real matrix U S V^T as U S' V^T with singular values S' near 1, by five steps of Newton-Schulz,

    .. math:: X \leftarrow a X + (b A + c A^2) X, \qquad A = X X^T

    from X of Frobenius norm 1. Those of one shape (or its transpose) are computed in one batch; a matrix of zeros stays
    zero.

    Shapes: ``[m_i, n_i]`` each -> the same.
    """
    found: list[Tensor] = list(matrices)
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, matrix in enumerate(matrices):
        alike.setdefault(tuple(sorted(matrix.shape)), []).append(index)
    a, b, c = COEFFICIENTS
    for members in alike.values():
        flat = [matrices[index] for index in members]
        x = torch.stack([one if one.shape[0] <= one.shape[1] else one.T for one in flat])  # [G, m, n], m <= n
        x = x.bfloat16() if x.is_cuda else x
        x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-30)
        for _ in range(5):
            gram = x @ x.mT  # [G, m, m]
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        for index, one in zip(members, x.to(flat[0].dtype), strict=True):
            found[index] = one if matrices[index].shape[0] <= matrices[index].shape[1] else one.T
    return found
