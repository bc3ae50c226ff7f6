"""Normalisation that belongs to the model: fitted on train, saved with it, undone on the way out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from .data.prepared import settled

MODES = ("channel", "scalar", "none")


class Normalizer(nn.Module):
    """``encode(v) = (v - mean) / std`` and its inverse ``decode``; mean and std are buffers ``[C]``.

    A constant channel has std 1: it encodes to 0 and decodes to its value.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @classmethod
    def identity(cls, channels: int) -> Normalizer:
        return cls(torch.zeros(channels), torch.ones(channels))

    @classmethod
    def fit(cls, values: Iterable[Tensor], mode: str = "channel") -> Normalizer:
        """Fit to a stream of ``[N, C]`` blocks, merging moments in float64 (Chan et al. 1979).

        Args:
            values: the blocks, one a sample.
            mode: "channel" (one mean and std a channel), "scalar" (one for all), or "none" (0 and 1).

        Raises:
            ValueError: for an unknown mode or an empty stream.
        """
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}; choose from {list(MODES)}")
        count, mean, m2, dtype = 0, torch.zeros(0), torch.zeros(0), torch.float32
        for block in values:
            v = block.detach().to("cpu", torch.float64)
            v = v.reshape(-1, 1).expand(-1, block.shape[1]) if mode == "scalar" else v
            rows, centre = len(v), v.mean(0)
            spread = (v - centre).square().sum(0)
            if count == 0:
                count, mean, m2, dtype = rows, centre, spread, block.dtype
                continue
            shift = centre - mean
            m2 = m2 + spread + shift.square() * (count * rows / (count + rows))
            mean = mean + shift * (rows / (count + rows))
            count += rows
        if count == 0:
            raise ValueError("there is no value to fit a normaliser to")
        std = (m2 / count).sqrt()
        # Rounding leaves a constant channel with a std of about eps * |mean|.
        constant = std <= 1e-7 * mean.abs().clamp_min(1e-30)
        std = torch.where(constant, torch.ones_like(std), std)
        if mode == "none":
            mean, std = torch.zeros_like(mean), torch.ones_like(std)
        return cls(mean.to(dtype), std.to(dtype))

    def encode(self, v: Tensor) -> Tensor:
        return (v - self.mean) / self.std

    def decode(self, v: Tensor) -> Tensor:
        return v * self.std + self.mean

    def extra_repr(self) -> str:
        return f"channels={self.mean.numel()}"


class Normalized(nn.Module):
    """A model in physical units: encodes what it reads, decodes what it says.

    ``x`` and ``edge_attr`` are encoded in place of the raw ones; positions are left alone (geometry is raw)
    and a scaled copy, ``coords``, is handed to the encoder.

    Shapes: as the model, ``data -> [N, O]``.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Normalizer | None = None,
        y: Normalizer | None = None,
        pos: Normalizer | None = None,
        edge_attr: Normalizer | None = None,
    ):
        super().__init__()
        self.model = model
        self.x, self.y, self.pos, self.edge_attr = x, y, pos, edge_attr

    def prepare(self, data: Data) -> Data:
        """The data with the patches and edges that the model needs; see ``model.prepare``."""
        return self.model.prepare(data)  # type: ignore[operator]

    def forward(self, data: Data) -> Tensor:
        data = settled(self.prepare(data))
        if self.x is not None and data.get("x") is not None:
            if data.x.shape[1] != self.x.mean.numel():
                raise ValueError(f"x has {data.x.shape[1]} channels; the model was trained on {self.x.mean.numel()}")
            data.x = self.x.encode(data.x)
        if self.pos is not None:
            data.coords = self.pos.encode(data.pos)
        if self.edge_attr is not None and data.get("edge_attr") is not None:
            data.edge_attr = self.edge_attr.encode(data.edge_attr)
        out = self.model(data)
        return out if self.y is None else self.y.decode(out)


def normalized(model: nn.Module, samples: Iterable[Data], *, x: str = "channel", y: str = "channel") -> Normalized:
    """Wrap ``model`` with normalisers fitted on ``samples`` (train only), prepared or not.

    Args:
        model: a model of this library, or one with ``prepare(data)``.
        samples: the training samples; iterated once per field.
        x, y: mode of the input and target fields ("channel", "scalar" or "none").
    """
    samples = samples if isinstance(samples, Sequence) else list(samples)
    if not samples:
        raise ValueError("there is no training sample to fit normalisers to")
    prepared = model.prepare(samples[0])  # type: ignore[operator]
    has_x, has_edges = prepared.get("x") is not None, prepared.get("edge_attr") is not None
    return Normalized(
        model,
        x=Normalizer.fit((s.x for s in samples), x) if has_x else None,
        y=Normalizer.fit((s.y for s in samples), y),
        pos=Normalizer.fit((s.pos for s in samples), "channel"),
        edge_attr=Normalizer.fit(model.prepare(s).edge_attr for s in samples) if has_edges else None,  # type: ignore[operator]
    )
