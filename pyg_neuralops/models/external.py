"""``External``: a user's own ``nn.Module`` among the models."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn
from torch_geometric.data import Data

from ..data import as_mesh_data, node_inputs
from ..nn.initial import copy_tensors
from .arguments import construct, constructor, kept_arguments
from .base import NeuralOperator, precision

SIZES = ("in_channels", "out_channels", "pos_dim")


@runtime_checkable
class Prepares(Protocol):
    """A module that adds to a sample what it needs, as :meth:`NeuralOperator.prepare` does."""

    def prepare(self, data: Data) -> Data: ...


class External(NeuralOperator):
    """A user's ``nn.Module`` with ``forward(data) -> [N, out_channels]`` that is not a :class:`NeuralOperator`.

    It joins with its forward as it is, and with its ``prepare(data)`` where it has one. Its ``data.x`` holds all
    inputs (:meth:`inputs`: input fields, global parameters, features of time); ``theta`` and ``time`` are taken away.

    Args:
        module: the user's.
        arguments: of its constructor, by name; read from its attributes when it is written to a file, by default.
        sizes: ``in_channels``, ``out_channels`` and ``pos_dim`` of the data; what is None is not checked.

    Raises:
        ValueError: in forward, for other sizes.
    """

    in_channels: int | None  # type: ignore[assignment]
    out_channels: int | None  # type: ignore[assignment]
    pos_dim: int | None  # type: ignore[assignment]

    def __init__(self, module: nn.Module, arguments: Mapping[str, Any] | None = None, **sizes: int | None):
        super().__init__()
        self.module, self.arguments = module, None if arguments is None else dict(arguments)
        # A size that the module itself was built with goes before that of the data, so that the two are compared.
        own = {name: vars(module).get(name) for name in constructor(type(module)).known}
        for name in SIZES:
            setattr(self, name, own[name] if isinstance(own.get(name), int) else sizes.get(name))

    @classmethod
    def around(cls, module: nn.Module) -> NeuralOperator:
        """``module`` itself if it is a :class:`NeuralOperator`, else wrapped."""
        return module if isinstance(module, NeuralOperator) else cls(module)

    def expect(self, sample: Data) -> None:
        """Take the sizes that are not known yet from a sample with targets."""
        found = {"in_channels": node_inputs(sample).shape[1], "out_channels": sample.y.shape[1]}
        found["pos_dim"] = sample.pos.shape[1]
        for name, value in found.items():
            if getattr(self, name) is None:
                setattr(self, name, value)

    def reset_parameters(self) -> None:
        given = kept_arguments(self.module) if self.arguments is None else self.arguments
        copy_tensors(self.module, construct(type(self.module), given))

    @property
    def config(self) -> dict[str, Any]:
        own = kept_arguments(self.module) if self.arguments is None else self.arguments
        return {**{name: getattr(self, name) for name in SIZES}, **own}

    @property
    def reads_edges(self) -> bool:
        return True

    def prepare(self, data: Data) -> Data:
        return self.module.prepare(data) if isinstance(self.module, Prepares) else data

    def forward(self, data: Data) -> Tensor:
        data = copy.copy(self.prepare(data if data.get("settled") else as_mesh_data(data, precision(self))))
        x = self.inputs(data)
        data.x = x if x.shape[1] else None
        for name in ("theta", "time"):
            if name in data:
                del data[name]
        out = self.module(data)
        if not isinstance(out, Tensor) or out.dim() != 2 or self.out_channels not in (None, out.shape[1]):
            found = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
            wanted = "out_channels" if self.out_channels is None else self.out_channels
            raise ValueError(f"{type(self.module).__name__} returned {found}; expected a tensor [N, {wanted}]")
        return out
