"""``Components``: which columns of a sample's fields are vectors and tensors, and turn with the space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Columns = Mapping[str, Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Components:
    """Columns by the name of their field; those of ``wind`` and ``conductivity`` are known unless named here.

    A field ``[N, ...]`` is read as ``[N, C]``. Columns that are not named are scalars.

    Args:
        vectors: ``{"y": [(0, 1)], "x": [(2, 3)]}``: D columns for each vector.
        tensors: D^2 columns for each tensor, row by row, or the D (D + 1) / 2 of a symmetric one, its upper triangle
            row by row (xx, xy, yy; xx, xy, xz, yy, yz, zz); storage in another order is named in this one.
        odd: ``{"y": [0]}``: columns that change their sign when the space is reflected, such as vorticity in 2D; those
            of a vector or tensor too where it does (vorticity in 3D).

    Raises:
        ValueError: for columns that are no integers of at least 0, are named twice, or of ``pos``.
    """

    vectors: Columns = field(default_factory=dict)
    tensors: Columns = field(default_factory=dict)
    odd: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what in ("vectors", "tensors"):
            given = getattr(self, what)
            good = isinstance(given, Mapping) and all(
                isinstance(lists, (list, tuple)) and all(map(_are_columns, lists)) for lists in given.values()
            )
            if not good:
                raise ValueError(f'{what}={given!r}; give lists of columns by field, such as {{"y": [(0, 1)]}}')
        if not isinstance(self.odd, Mapping) or not all(map(_are_columns, self.odd.values())):
            raise ValueError(f'odd={self.odd!r}; give columns by field, such as {{"y": [0]}}')
        for name in self.names:
            turning = [c for lists in (self.vectors, self.tensors) for group in lists.get(name, ()) for c in group]
            for columns in (turning, self.odd.get(name, ())):
                if len(set(columns)) < len(columns):
                    raise ValueError(f"columns {sorted(columns)} of {name}: one is named twice")
        if "pos" in self.names:
            raise ValueError("pos moves by itself; name the columns of other fields")

    @property
    def names(self) -> list[str]:
        """The fields that are named."""
        return list(dict.fromkeys([*self.vectors, *self.tensors, *self.odd]))

    def turned(self, name: str, value: Tensor, turn: Tensor) -> Tensor:
        """A field ``[N, ...]`` where space is turned by ``turn [D, D]``: v -> Q v, A -> Q A Q^T.

        Raises:
            ValueError: if the field lacks a column, a vector or tensor has not as many as it needs, or holds integers.
        """
        dim = turn.shape[0]
        known = name not in self.names
        vectors = [range(dim)] if known and name == "wind" else self.vectors.get(name, ())
        tensors = [range(dim * dim)] if known and name == "conductivity" else self.tensors.get(name, ())
        odd = list(self.odd.get(name, ()))
        if not (vectors or tensors or odd):
            return value
        flat = value.reshape(len(value), -1)
        self._check(name, flat, dim, vectors, tensors, odd)
        flat, turn = flat.double(), turn.to(value.device)
        out = flat.clone()
        for columns in map(list, vectors):
            out[:, columns] = flat[:, columns] @ turn.mT
        for columns in map(list, tensors):
            place = _places(dim, len(columns))
            moved = turn @ flat[:, columns][:, place].unflatten(1, (dim, dim)) @ turn.mT  # [N, D, D]
            out[:, torch.tensor(columns)[place]] = moved.flatten(1)
        out[:, odd] *= torch.linalg.det(turn).sign()
        return out.to(value.dtype).view_as(value)

    def _check(self, name: str, flat: Tensor, dim: int, vectors: Any, tensors: Any, odd: list[int]) -> None:
        if not flat.is_floating_point():
            raise ValueError(f"{name} holds {flat.dtype}; vectors, tensors and odd columns are real numbers")
        sizes = {"vectors": (vectors, {dim}), "tensors": (tensors, {dim * dim, dim * (dim + 1) // 2})}
        for what, (lists, allowed) in sizes.items():
            for columns in map(list, lists):
                if len(columns) not in allowed:
                    raise ValueError(
                        f"{what} of {name}: {columns} are {len(columns)} columns; in {dim}D one has "
                        f"{' or '.join(map(str, sorted(allowed)))}"
                    )
        last = max([*odd, *(c for lists in (vectors, tensors) for columns in lists for c in columns)])
        if last >= flat.shape[1]:
            raise ValueError(f"column {last} of {name} is named; it has {flat.shape[1]}, counted from 0")


def _are_columns(value: Any) -> bool:
    return isinstance(value, (list, tuple, range)) and all(type(c) is int and c >= 0 for c in value) and len(value) > 0


def _places(dim: int, stored: int) -> Tensor:
    """Where each entry of a tensor, row by row, stands among its ``stored`` columns, ``[D^2]``."""
    if stored == dim * dim:
        return torch.arange(stored)
    row, column = torch.triu_indices(dim, dim)
    place = torch.zeros(dim, dim, dtype=torch.long)
    place[row, column] = place[column, row] = torch.arange(stored)
    return place.flatten()
