"""Distances that follow the physics: each point's own, read from a field of the sample."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch_geometric.data import Data

from ..resolve import import_path
from ..typed import Range, typed

FACTOR = Annotated[float, Range(1)]
Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``(index [n], offset [n, M, D]) -> [n, M]``: a metric on one sample."""


class PatchMetric(ABC):
    """A distance for :class:`KNNPatches`; a user's own is a subclass with these two methods.

    A class at the top of a module that keeps its constructor's arguments as attributes of the same names is written
    to checkpoints by its import path and these arguments (:meth:`to_config`).
    """

    @abstractmethod
    def distance(self, data: Data, index: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        """Distances of ``offset [n, M, D]`` (p_j - p_i, float64) from the points ``index [n]``. ``-> [n, M]``"""

    @abstractmethod
    def stretch(self, data: Data) -> torch.Tensor:
        """A bound s ``[N]`` of |p| over the distance of p, for every offset p from the point."""

    def on(self, data: Data) -> Distance:
        """:meth:`distance` on one sample; overridden where something is made once for it."""
        return lambda index, offset: self.distance(data, index, offset)

    @property
    def fields(self) -> tuple[str, ...] | None:
        """Names of the fields and cells of the sample that are read: patches are made again where these change.

        None, unless overridden: any field may be, so patches are made again whenever one but ``y`` changes.
        """
        return None

    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments, from the attributes of the same names.

        Raises:
            ValueError: if one is no attribute.
        """
        names = [name for name in inspect.signature(type(self)).parameters]
        missing = [name for name in names if name not in vars(self)]
        if missing:
            raise ValueError(
                f"{type(self).__name__} keeps no {missing} as attributes; keep them, or override arguments()"
            )
        return {name: vars(self)[name] for name in names}

    def to_config(self) -> dict[str, Any]:
        """``{"name": ..., **arguments}``, which :func:`parse_metric` reads; the name of a user's is its import path.

        Raises:
            ValueError: as :meth:`arguments`, or if the class has no import path.
        """
        cls = type(self)
        return {"name": cls.__name__ if is_ours(cls) else import_path(cls), **self.arguments()}

    def __repr__(self) -> str:
        cls = type(self)
        name = cls.__name__ if is_ours(cls) else f"{cls.__module__}:{cls.__qualname__}"
        return f"{name}({', '.join(f'{key}={value!r}' for key, value in self.arguments().items())})"


def is_ours(cls: type) -> bool:
    """Whether a metric is the library's, known by its name alone."""
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


def read_field(data: Data, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A field that a metric reads, in float64.

    Raises:
        ValueError: if it is missing, or of another shape.
    """
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
        ValueError: if stretch is not a finite number of at least 1, both is not a boolean, or the field is missing or
            misshapen.
    """

    def __init__(self, field: str = "wind", stretch: FACTOR = 6.0, both: bool = False):
        self.field, self.both = typed(field, str, "field"), typed(both, bool, "both")
        self.factor = typed(stretch, FACTOR, "stretch")

    @property
    def fields(self) -> tuple[str, ...] | None:
        return (self.field,) if is_ours(type(self)) else None  # a subclass may read more

    def arguments(self) -> dict[str, Any]:
        return {"field": self.field, "stretch": self.factor, "both": self.both}

    def distance(self, data: Data, index: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        wind = read_field(data, self.field, tuple(data.pos.shape))[index]
        along = (offset @ torch.nn.functional.normalize(wind, dim=1)[..., None])[..., 0]  # [n, M]
        shortened = along.square() * (1 - self.factor**-2)
        if not self.both:
            shortened = torch.where(along < 0, shortened, 0.0)
        return (offset.square().sum(-1) - shortened).clamp_min(0).sqrt()

    def stretch(self, data: Data) -> torch.Tensor:
        return torch.full((data.num_nodes,), self.factor, dtype=torch.float64)


class Anisotropic(PatchMetric):
    r"""The distance of an anisotropic medium, :math:`m_i(p)^2 = p^\top A_i^{-1} p`.

    Args:
        field: name of the sample's tensor A, ``[N, D, D]``, symmetric and positive definite.

    Raises:
        ValueError: if the field is missing, misshapen, or not symmetric positive definite.
    """

    def __init__(self, field: str = "conductivity"):
        self.field = typed(field, str, "field")

    @property
    def fields(self) -> tuple[str, ...] | None:
        return (self.field,) if is_ours(type(self)) else None  # a subclass may read more

    def _eigenvalues(self, data: Data) -> torch.Tensor:
        dim = data.pos.shape[1]
        tensor = read_field(data, self.field, (data.num_nodes, dim, dim))
        values = torch.linalg.eigvalsh(tensor)
        skew = (tensor - tensor.transpose(1, 2)).abs().amax((1, 2)) > 1e-5 * values[:, -1].abs()
        bad = (values[:, 0] <= 0) | skew
        if bad.any():
            raise ValueError(f"data.{self.field} is not symmetric positive definite at node {int(bad.nonzero()[0])}")
        return values

    def distance(self, data: Data, index: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        dim = data.pos.shape[1]
        inverse = torch.linalg.inv(read_field(data, self.field, (data.num_nodes, dim, dim))[index])  # [n, D, D]
        return ((offset @ inverse) * offset).sum(-1).clamp_min(0).sqrt()

    def stretch(self, data: Data) -> torch.Tensor:
        # Rounding in the inverse of a badly conditioned tensor must not break the bound.
        return self._eigenvalues(data)[:, -1].sqrt() * (1 + 1e-6)
