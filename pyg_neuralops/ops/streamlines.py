"""Streamlines against a flow, and distances that follow them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

PAIRS = 1 << 12  # pairs of a point and an offset worked on together: their numbers stay in the cache
CALM = 1e-9  # of the largest speed: what is slower has no direction


class Flow(Protocol):
    """A velocity and a step, each at every point of a domain."""

    def start(self) -> tuple[Tensor, Tensor, Tensor]:
        """The points that curves start from ``[N, D]``, the values there ``[N, D + 1]``, the velocity and after it the
        step; and the places of these points, ``[N]``, which only :meth:`move` reads."""

    def move(self, points: Tensor, place: Tensor, to: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Along straight lines ``[N, D]``: the values at their ends, the places of these, and the part ``[N]`` of each
        line that lies in the domain, 1 for all of it."""


def trace_upstream(flow: Flow, steps: int) -> tuple[Tensor, Tensor]:
    """Curves against the flow by the midpoint rule, which is of second order in the step.

    They follow directions only, and end at the boundary of the domain, where it is calm, or after ``steps``; a curve
    that ended goes on as steps of length 0.

    Returns:
        Points ``[N, steps + 1, D]`` and their distances along the curves, ``[N, steps + 1]``.
    """
    x, value, place = flow.start()
    speed = value[:, :-1].norm(dim=1)
    calm = CALM * speed.max() if len(speed) else 0.0
    going, travelled = speed > calm, torch.zeros_like(speed)
    points, lengths = [x], [travelled]
    for _ in range(steps):
        step = torch.where(going, value[:, -1], 0.0)[:, None]
        direction = -torch.nn.functional.normalize(value[:, :-1], dim=1)
        half, _, part = flow.move(x, place, x + step / 2 * direction)
        bent = (part == 1) & (half[:, :-1].norm(dim=1) > calm)
        middle = -torch.nn.functional.normalize(half[:, :-1], dim=1)
        direction = torch.where(bent[:, None], middle, direction)
        value, place, part = flow.move(x, place, x + step * direction)
        step = part[:, None] * step
        x, travelled = x + step * direction, travelled + step[:, 0]
        going = going & (part == 1) & (value[:, :-1].norm(dim=1) > calm)
        points.append(x)
        lengths.append(travelled)
    return torch.stack(points, 1), torch.stack(lengths, 1)


def distance_along(curve: Tensor, length: Tensor, offset: Tensor, stretch: float) -> Tensor:
    r"""Distances that are shorter along a curve from the origin, by ``stretch`` at most.

    .. math:: m(p)^2 = \min_t\; |p - c(t)|^2 + \frac{t^2}{s^2 - 1}

    over the distance t along c, exactly, segment by segment.

    Shapes: ``curve [n, S + 1, D]``, ``length [n, S + 1]``, ``offset [n, M, D] -> [n, M]``.
    """
    if stretch == 1:
        return offset.norm(dim=2)
    price = 1 / (stretch**2 - 1)
    at, start, step = curve[:, :-1], length[:, :-1], length.diff(dim=1)  # [n, S, ...]
    tangent = curve.diff(dim=1) / ((1 + price) * step.clamp_min(torch.finfo(step.dtype).tiny))[..., None]
    # On each segment the square is |p|^2 + a + (1 + price) t (t - 2 b), t from its start; a and b are affine in p.
    a = at.square().sum(2) + price * start.square()
    b = -(at * tangent).sum(2) - price / (1 + price) * start
    n, m, _ = offset.shape
    out = offset.square().sum(2)
    for rows in torch.arange(n).split(max(1, PAIRS // max(1, m))):
        p = offset[rows]
        along = torch.baddbmm(b[rows, None], p, tangent[rows].mT)  # [rows, M, S]
        found = torch.baddbmm(a[rows, None], p, at[rows].mT, alpha=-2)
        t = along.clamp_min(0).minimum(step[rows, None])
        found.addcmul_(t, torch.sub(t, along, alpha=2), value=1 + price)
        out[rows] += found.amin(2).clamp_max(0)
    return out.clamp_min_(0).sqrt_()
