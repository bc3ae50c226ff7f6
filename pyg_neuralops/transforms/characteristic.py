"""``Characteristic``: the patch metric of where the flow came from, along curves."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch_geometric.data import Data

from ..data import CELLS
from ..ops.streamlines import distance_along, trace_upstream
from ..typed import Range, typed
from .flows import flow_of
from .patch_metric import FACTOR, Distance, PatchMetric, is_ours, read_field

REACH = Annotated[int, Range(1)]


class Characteristic(PatchMetric):
    r"""Distances shortened by ``stretch`` along the curve that the wind came by, traced upstream from each point.

    .. math:: m_i(p)^2 = \min_{0 \le t \le L_i}\; |p - c_i(t)|^2 + \frac{t^2}{s^2 - 1}

    :math:`c_i` the curve relative to its point, t the distance along it: how far off the curve, and at what distance
    along it, p lies. Where the wind is constant this is :class:`Upwind` as far as the curve reaches: with
    :math:`a = -p \cdot u_i / |u_i| \ge 0` and :math:`b = |p_\perp|`, :math:`(a - t)^2 + b^2 + t^2 / (s^2 - 1)` is least
    at :math:`t = a (1 - s^{-2})` and is :math:`b^2 + a^2 / s^2` there. t = 0 gives the Euclidean distance, which m
    never exceeds, and which it is where it is calm and wherever the curve does not go.

    The bound of candidates holds on any curve: :math:`|c_i(t)| \le t`, so by Cauchy and Schwarz

    .. math:: |p| \le |p - c_i(t)| + t \le \sqrt{|p - c_i(t)|^2 + \frac{t^2}{s^2 - 1}}\, \sqrt{1 + (s^2 - 1)}

    for every t, hence :math:`|p| \le s\, m_i(p)`.

    Curves follow the wind's direction by the midpoint rule in steps of a local spacing (:class:`LocalSpacing`). The
    wind is linear in cells (:class:`.flows.MeshFlow`), a mean by inverse distance in point clouds
    (:class:`.flows.CloudFlow`). Curves end at the boundary of the domain, also of a periodic one, and where it is calm.

    Args:
        field: name of the sample's wind, ``[N, D]``; its size does not matter, only its direction.
        stretch: s, at least 1.
        reach: length of the curves in local spacings, and the number of their steps, at least 1. A patch of K points
            needs about :math:`s \sqrt{2 K / (\pi (1 + s))}` of them in 2D.

    Raises:
        ValueError: if stretch is not a finite number of at least 1, reach no integer of at least 1, or the field
            is missing, misshapen or not finite.
    """

    def __init__(self, field: str = "wind", stretch: FACTOR = 6.0, reach: REACH = 16):
        self.field, self.reach = typed(field, str, "field"), typed(reach, REACH, "reach")
        self.factor = typed(stretch, FACTOR, "stretch")

    @property
    def fields(self) -> tuple[str, ...] | None:
        return (self.field, *CELLS) if is_ours(type(self)) else None  # a subclass may read more

    def arguments(self) -> dict[str, Any]:
        return {"field": self.field, "stretch": self.factor, "reach": self.reach}

    def on(self, data: Data) -> Distance:
        curve, length = self.curves(data)
        curve = curve - curve[:, :1]

        def distance(index: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
            return distance_along(curve[index], length[index], offset, self.factor)

        return distance

    def distance(self, data: Data, index: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        return self.on(data)(index, offset)

    def curves(self, data: Data) -> tuple[torch.Tensor, torch.Tensor]:
        """Points of the curve of each node, ``[N, S + 1, D]``, and their distances along it ``[N, S + 1]``, S steps.

        Raises:
            ValueError: for a field that is missing, misshapen or not finite.
        """
        pos = data.pos.detach().double().cpu()
        wind = read_field(data, self.field, tuple(pos.shape))
        if not wind.isfinite().all():
            raise ValueError(f"data.{self.field} is not finite at node {int((~wind.isfinite()).any(1).nonzero()[0])}")
        cells = {name: data[name].cpu() for name in CELLS if data.get(name) is not None}
        return trace_upstream(flow_of(pos, wind, cells), self.reach)

    def stretch(self, data: Data) -> torch.Tensor:
        return torch.full((data.num_nodes,), self.factor * (1 + 1e-9), dtype=torch.float64)
