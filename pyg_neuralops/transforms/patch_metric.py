"""Distances that follow the physics: each point's own, read from a field of the sample."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

import torch
from torch_geometric.data import Data


class PatchMetric(ABC):
    """A distance for :class:`KNNPatches`; a user's own is a subclass with these two methods and a ``__repr__``.

    ``repr`` names the metric and its parameters: it is how prepared data are told apart.
    """

    @abstractmethod
    def distance(self, data: Data, index: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        """Distances of ``offset [n, M, D]`` (p_j - p_i, float64) from the points ``index [n]``. ``-> [n, M]``"""

    @abstractmethod
    def stretch(self, data: Data) -> torch.Tensor:
        """A bound s ``[N]`` of |p| over the distance of p, for every offset p from the point."""


def _field(data: Data, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    value = data.get(name)
    if value is None or tuple(value.shape) != shape:
        found = "is missing" if value is None else f"has shape {list(value.shape)}"
        raise ValueError(f"the metric reads data.{name}, which {found}; expected {list(shape)}")
    return value.detach().double().cpu()


class Upwind(PatchMetric):
    r"""Offsets that point upwind are shortened by ``stretch`` along the local wind :math:`u_i`.

    .. math:: m_i(p) = \sqrt{|p_\perp|^2 + (p_\parallel / s)^2} \text{ where } p \cdot u_i < 0, \text{ else } |p|

    so that a patch reaches s times as far to where the flow comes from. Calm points keep the Euclidean distance.

    Args:
        field: name of the sample's wind, ``[N, D]``; its size does not matter, only its direction.
        stretch: s, at least 1.
        both: whether downwind offsets are shortened as well.

    Raises:
        ValueError: if stretch < 1, or the field is missing or misshapen.
    """

    def __init__(self, field: str = "wind", stretch: float = 6.0, both: bool = False):
        if stretch < 1:
            raise ValueError(f"stretch={stretch}; it must be at least 1")
        self.field, self.factor, self.both = field, float(stretch), both

    def distance(self, data: Data, index: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        wind = _field(data, self.field, tuple(data.pos.shape))[index]
        along = (offset @ torch.nn.functional.normalize(wind, dim=1)[..., None])[..., 0]  # [n, M]
        shortened = along.square() * (1 - self.factor**-2)
        if not self.both:
            shortened = torch.where(along < 0, shortened, 0.0)
        return (offset.square().sum(-1) - shortened).clamp_min(0).sqrt()

    def stretch(self, data: Data) -> torch.Tensor:
        return torch.full((data.num_nodes,), self.factor, dtype=torch.float64)

    def __repr__(self) -> str:
        return f"Upwind({self.field!r}, stretch={self.factor:g}{', both=True' if self.both else ''})"


class Tensor(PatchMetric):
    r"""The distance of an anisotropic medium, :math:`m_i(p)^2 = p^\top A_i^{-1} p`.

    Args:
        field: name of the sample's tensor A, ``[N, D, D]``, symmetric and positive definite.

    Raises:
        ValueError: if the field is missing, misshapen, or not symmetric positive definite.
    """

    def __init__(self, field: str = "conductivity"):
        self.field = field

    def _eigenvalues(self, data: Data) -> torch.Tensor:
        dim = data.pos.shape[1]
        tensor = _field(data, self.field, (data.num_nodes, dim, dim))
        values = torch.linalg.eigvalsh(tensor)
        skew = (tensor - tensor.transpose(1, 2)).abs().amax((1, 2)) > 1e-5 * values[:, -1].abs()
        bad = (values[:, 0] <= 0) | skew
        if bad.any():
            raise ValueError(f"data.{self.field} is not symmetric positive definite at node {int(bad.nonzero()[0])}")
        return values

    def distance(self, data: Data, index: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        dim = data.pos.shape[1]
        inverse = torch.linalg.inv(_field(data, self.field, (data.num_nodes, dim, dim))[index])  # [n, D, D]
        return ((offset @ inverse) * offset).sum(-1).clamp_min(0).sqrt()

    def stretch(self, data: Data) -> torch.Tensor:
        # Rounding in the inverse of a badly conditioned tensor must not break the bound.
        return self._eigenvalues(data)[:, -1].sqrt() * (1 + 1e-6)

    def __repr__(self) -> str:
        return f"Tensor({self.field!r})"


METRICS = {"Upwind": Upwind, "Tensor": Tensor}


def parse_metric(text: str) -> PatchMetric:
    """The metric that a ``repr`` of this module names, such as "Upwind('wind', stretch=6)" or "Tensor('a')".

    Quotes may be left out. Nothing is evaluated.

    Raises:
        ValueError: if the text is no such thing; says what there is.
    """
    match = re.fullmatch(r"(\w+)\(\s*['\"]?(\w+)['\"]?\s*(?:,\s*stretch=([\d.eE+-]+)\s*)?(,\s*both=True\s*)?\)", text)
    if match is None or match[1] not in METRICS or (match[1] == "Tensor" and (match[3] or match[4])):
        raise ValueError(f"metric={text!r}; write Upwind('wind', stretch=6) or Tensor('conductivity')")
    if match[1] == "Tensor":
        return Tensor(match[2])
    return Upwind(match[2], float(match[3] or 6), both=match[4] is not None)
