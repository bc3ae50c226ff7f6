"""Normalisation that belongs to the model: fitted on train, saved with it, undone on the way out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data

from .data import as_mesh_data, checked
from .data.convert import converted
from .data.prepared import own_edge_attr, settled
from .models import External
from .models.base import precision
from .normalizer import MODES, Moments, Moving, Normalizer
from .quantiles import Quantiles
from .residual import Residual

__all__ = ["ENCODED", "INPUTS", "PARTS", "Normalized", "Normalizer", "normalized"]

INPUTS = ("x", "theta", "time")
ENCODED = (*INPUTS, "edge_attr")
PARTS = (*ENCODED, "own_edge_attr", "y", "pos")
POSITION_MODES = (*MODES, "quantile")


class Normalized(nn.Module):
    """A model in physical units: encodes what it reads, decodes what it says.

    ``x``, ``theta``, ``time`` and ``edge_attr`` are encoded in place of the raw ones; positions are left alone
    (geometry is raw) and a scaled copy, ``coords``, is handed to the encoder.

    Args:
        model: of this library, or any ``nn.Module`` with ``forward(data)`` (:class:`pyg_neuralops.models.External`).
        x, theta, time, y, pos, edge_attr: the normalisers; a field without one is left as it is.
        own_edge_attr: of an ``edge_attr`` that came with the samples; the other is of one prepared from positions.
        residual: the field in physical units that the decoded output is added to; nothing when None.

    Shapes: as the model, ``data -> [N, O]``.

    Raises:
        ValueError: in forward, for a field that the model was trained with and the data lack, the other way round, or
            one with another number of channels; for a first sample that is no valid one.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Normalizer | None = None,
        y: Normalizer | None = None,
        pos: Normalizer | None = None,
        edge_attr: Normalizer | None = None,
        theta: Normalizer | None = None,
        time: Normalizer | None = None,
        own_edge_attr: Normalizer | None = None,
        residual: Residual | Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.model = External.around(model)
        self.x, self.y, self.pos, self.edge_attr = x, y, pos, edge_attr
        self.theta, self.time, self.own_edge_attr = theta, time, own_edge_attr
        self.residual = Residual.of(residual)
        if self.residual is not None and y is not None:
            self.residual.check(y.mean.numel())

    def prepare(self, data: Data) -> Data:
        """The data with the patches and edges that the model needs; see ``model.prepare``."""
        return self.model.prepare(as_mesh_data(data, precision(self)))

    def forward(self, data: Data) -> Tensor:
        data = settled(self.prepare(data))
        base = None if self.residual is None else self.residual.base(data)  # before its field is encoded
        for name in ENCODED:
            normalizer = self._edges(data) if name == "edge_attr" else getattr(self, name)
            self._check(name, data.get(name), normalizer)
            if normalizer is not None and data.get(name) is not None:
                data[name] = normalizer.encode(data[name])
        if self.pos is not None:
            data.coords = self.pos.encode(data.pos)
        out = self.model(data)
        out = out if self.y is None else self.y.decode(out)
        if self.residual is None or base is None:
            return out
        self.residual.check(out.shape[1])
        return base + out

    def _edges(self, data: Data) -> Normalizer | None:
        """The normaliser of the data's ``edge_attr``."""
        own = own_edge_attr(data)
        if self._fitted and self.model.reads_edges and own != (self.own_edge_attr is not None):
            here, there = ("an", "without") if own else ("no", "with")
            raise ValueError(f"the data have {here} edge_attr of their own; the model was trained {there} it")
        return self.own_edge_attr if own else self.edge_attr

    @property
    def _fitted(self) -> bool:
        return any(getattr(self, name) is not None for name in (*INPUTS, "pos"))

    def _check(self, name: str, value: Tensor | None, normalizer: Normalizer | None) -> None:
        if name in INPUTS and self._fitted and (value is None) != (normalizer is None):
            here, there = ("no", "with") if value is None else ("a field", "without")
            raise ValueError(f"the data have {here} {name}; the model was trained {there} it")
        if value is not None and normalizer is not None:
            channels, trained = 1 if value.dim() == 1 else value.shape[1], normalizer.mean.numel()
            if channels != trained:
                raise ValueError(f"{name} has {channels} channels; the model was trained on {trained}")


def position_normalizer(positions: Callable[[], Iterable[Tensor]], found: Moments, mode: str) -> Normalizer:
    """Mean and scale of positions: "channel" (an axis each), "scalar" (one scale, which keeps the shape), "none", or
    "quantile" (:class:`Quantiles`).

    Args:
        positions: gives a stream of them, ``[N, D]`` each; asked for with "scalar" and "quantile".
        found: their moments.
    """
    if mode == "quantile":
        return Quantiles.of_positions(positions())
    if mode != "scalar":
        return Normalizer.of(found, mode)
    mean = Normalizer.of(found).mean
    return Normalizer(mean, Normalizer.fit((pos - mean for pos in positions()), "scalar").std)


def normalized(
    model: nn.Module,
    samples: Iterable[Data],
    *,
    x: str = "channel",
    y: str = "channel",
    pos: str = "channel",
    residual: Residual | Mapping[str, Any] | None = None,
) -> Normalized:
    """Wrap ``model`` with normalisers fitted on ``samples`` (train only), prepared or not.

    Parameters ``theta`` are normalised one by one, ``time`` to [0, 1] over the samples.

    Args:
        model: a model of this library, or any ``nn.Module`` with ``forward(data) -> [N, out_channels]``.
        samples: the training samples; read once (twice for ``pos`` "scalar" and "quantile"), and none is kept.
        x, y: mode of the input and target fields ("channel", "scalar" or "none").
        pos: of what the encoder sees of positions, :func:`position_normalizer`; distances to a reference grid want
            "channel", as the grid is laid out for standardised positions.
        residual: predict the change of this field; the target's normaliser is then of ``y`` less it.

    Raises:
        ValueError: without a sample; for one that is no valid sample or unlike the first, naming sample and field.
    """
    samples = samples if isinstance(samples, Sequence) else list(samples)
    if not samples:
        raise ValueError("there is no training sample to fit normalisers to")
    model, change = External.around(model), Residual.of(residual)
    dtype = precision(model)
    for mode, known in ((x, MODES), (y, MODES), (pos, POSITION_MODES)):
        if mode not in known:
            raise ValueError(f"mode={mode!r}; choose from {list(known)}")
    streams: dict[str, Moving] = {}
    own = False
    for index, sample in enumerate(checked(samples, dtype=dtype)):
        if sample.get("y") is None:
            raise ValueError(f"sample {index} has no target field y; nothing can be learned from it")
        if index == 0:
            if isinstance(model, External):
                model.expect(sample)
            prepared = model.prepare(copy.copy(sample))
            own = own_edge_attr(prepared)
            present = [name for name in ENCODED if prepared.get(name) is not None]
            streams = {name: Moving() for name in (*present, "y", "pos")}
        data = model.prepare(copy.copy(sample)) if "edge_attr" in streams else sample
        for name, stream in streams.items():
            if name == "y" and change is not None:
                change.check(data.y.shape[1])
                stream.add(data.y - change.base(data))
            else:
                stream.add(data.time[:, None] if name == "time" else data[name])
    found = {name: stream.moments for name, stream in streams.items()}

    def positions() -> Iterator[Tensor]:
        return (converted(sample, dtype).pos for sample in samples)

    modes = {"x": x, "theta": "channel", "edge_attr": "channel", "y": y}
    parts = {name: Normalizer.of(found[name], mode) for name, mode in modes.items() if name in found}
    if own:
        parts["own_edge_attr"] = parts.pop("edge_attr")
    if "time" in found:
        parts["time"] = Normalizer.span_of(found["time"])
    parts["pos"] = position_normalizer(positions, found["pos"], pos)
    return Normalized(model, **parts, residual=change)
