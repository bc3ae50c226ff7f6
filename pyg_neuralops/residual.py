"""``Residual``: the field that a prediction is a change of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data


@dataclass(frozen=True)
class Residual:
    """Columns of a node field to which the output is added, one an output channel.

    Args:
        field: the node field, such as "x" or "pos", in physical units.
        columns: of the field ``[N, C]``, from -C (counted from the last) to C - 1; None adds nothing to its channel.

    Raises:
        ValueError: for columns that are no integers, or none at all.
    """

    field: str
    columns: Sequence[int | None]

    def __post_init__(self) -> None:
        fine = isinstance(self.columns, (list, tuple)) and all(c is None or type(c) is int for c in self.columns)
        if not isinstance(self.field, str) or not fine or not self.columns:
            raise ValueError(f"residual has field={self.field!r}, columns={self.columns!r}; needs a name and integers")
        object.__setattr__(self, "columns", tuple(self.columns))

    @classmethod
    def of(cls, value: Residual | Mapping[str, Any] | None) -> Residual | None:
        """From what a file or a task says; None stays None."""
        if value is None or isinstance(value, Residual):
            return value
        if not isinstance(value, Mapping) or set(value) != {"field", "columns"}:
            raise ValueError(f"residual={value!r}; give exactly the keys 'field' and 'columns'")
        return cls(**value)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "columns": list(self.columns)}

    def check(self, channels: int) -> None:
        """Raise ValueError unless there is a column for each of the output channels."""
        if len(self.columns) != channels:
            raise ValueError(
                f"residual names {len(self.columns)} columns for {channels} output channels; give one each"
            )

    def base(self, data: Data) -> Tensor:
        """The base field ``[N, O]``, zero where a channel has none; gradients flow to the field.

        Raises:
            ValueError: if the data lack the field, or a column is out of range.
        """
        value = data.get(self.field)
        if not isinstance(value, Tensor) or value.dim() != 2 or len(value) != data.num_nodes:
            raise ValueError(f"residual names the field {self.field!r}; the data have no such node field [N, C]")
        width = value.shape[1]
        wrong = [c for c in self.columns if c is not None and not -width <= c < width]
        if wrong:
            raise ValueError(
                f"residual names columns {wrong} of {self.field}, which has columns {-width} to {width - 1}"
            )
        value = value if value.is_floating_point() else value.float()  # differences of counts are negative too
        nothing = value.new_zeros(len(value))
        return torch.stack([nothing if c is None else value[:, c] for c in self.columns], 1)
