"""``Normalizer``: shift and scale of channels, fitted in one pass over samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

MODES = ("channel", "scalar", "none")


class Normalizer(nn.Module):
    """``encode(v) = (v - mean) / std`` and its inverse ``decode(v) = v std + mean``; mean and std are buffers ``[C]``.

    A constant channel has std 0: it decodes to exactly its value, whatever a network says, and is encoded in units
    of that value (of 1 where it is 0).
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
        """Fit to a stream of ``[N, C]`` blocks; empty ones count for nothing, and nothing but empty ones gives the
        identity.

        A channel is constant if its values differ by rounding alone: by no more than four units in the last place.

        Args:
            values: the blocks, one a sample, of any real dtype.
            mode: "channel" (one mean and std a channel), "scalar" (one for all channels that are not constant), or
                "none" (0 and 1).

        Raises:
            ValueError: for an unknown mode, an empty stream, or values that are not finite.
        """
        return cls.of(moments(values), mode)

    @classmethod
    def of(cls, found: Moments, mode: str = "channel") -> Normalizer:
        """As :meth:`fit`, from the moments of the stream."""
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}; choose from {list(MODES)}")
        if found.count == 0 or mode == "none":
            return cls(torch.zeros_like(found.mean, dtype=found.dtype), torch.ones_like(found.mean, dtype=found.dtype))
        mean, variance, varies = found.mean, found.variance, ~found.constant
        if mode == "scalar" and varies.any():
            joint = mean[varies].mean()
            variance = variance.where(~varies, variance[varies].mean() + (mean[varies] - joint).square().mean())
            mean = mean.where(~varies, joint)
        return cls(mean.to(found.dtype), variance.sqrt().where(varies, 0.0).to(found.dtype))

    @classmethod
    def span(cls, values: Iterable[Tensor]) -> Normalizer:
        """The affine map of a stream of ``[N, C]`` blocks to [0, 1]; a constant is encoded as by :meth:`fit`."""
        return cls.span_of(moments(values))

    @classmethod
    def span_of(cls, found: Moments) -> Normalizer:
        """As :meth:`span`, from the moments of the stream."""
        if found.count == 0:
            raise ValueError("there is no value to fit a normaliser to")
        width = (found.high - found.low).where(~found.constant, 0.0)
        return cls(found.low.to(found.dtype), width.to(found.dtype))

    def encode(self, v: Tensor) -> Tensor:
        """In the normaliser's own precision, whatever that of ``v``."""
        constant = torch.where(self.mean == 0, torch.ones_like(self.mean), self.mean.abs())
        v = v if v.is_floating_point() else v.to(self.mean.dtype)
        return ((v - self.mean) / torch.where(self.std == 0, constant, self.std)).to(self.mean.dtype)

    def decode(self, v: Tensor) -> Tensor:
        return v * self.std + self.mean

    def extra_repr(self) -> str:
        return f"channels={self.mean.numel()}"


@dataclass(frozen=True)
class Moments:
    """Of the channels of a stream, ``[C]`` each, in float64; ``dtype`` is what a normaliser of it computes in."""

    count: int
    mean: Tensor
    variance: Tensor
    low: Tensor
    high: Tensor
    dtype: torch.dtype

    @property
    def constant(self) -> Tensor:
        rounding = 4 * torch.finfo(self.dtype).eps * torch.maximum(self.low.abs(), self.high.abs())
        return self.high - self.low <= rounding


class Moving:
    """Moments of ``[N, C]`` blocks that come one by one, merged as they come (Chan et al. 1979)."""

    def __init__(self) -> None:
        self.count, self.dtype = 0, torch.float32
        self.mean = self.m2 = self.low = self.high = torch.zeros(0, dtype=torch.float64)

    def add(self, block: Tensor) -> None:
        """Take a block.

        Raises:
            ValueError: if it is not real or not of the number of channels of those before.
        """
        channels = block.shape[1] if block.dim() == 2 else 0
        if channels == 0 or block.is_complex() or (len(self.mean) and channels != len(self.mean)):
            wanted = len(self.mean) or "channels"
            raise ValueError(f"a block has shape {list(block.shape)} of {block.dtype}; expected real [rows, {wanted}]")
        v = block.detach().to("cpu", torch.float64)
        rows, self.dtype = len(v), torch.float64 if block.dtype == torch.float64 else self.dtype
        if self.count == 0 and len(self.mean) == 0:
            self.mean = self.m2 = self.low = self.high = v.new_zeros(v.shape[1])
        if rows == 0:
            return
        centre = v.mean(0)
        spread = (v - centre).square().sum(0)
        if self.count == 0:
            self.count, self.mean, self.m2, self.low, self.high = rows, centre, spread, v.amin(0), v.amax(0)
            return
        shift, count = centre - self.mean, self.count + rows
        self.m2 = self.m2 + spread + shift.square() * (self.count * rows / count)
        self.mean = self.mean + shift * (rows / count)
        self.low, self.high = torch.minimum(self.low, v.amin(0)), torch.maximum(self.high, v.amax(0))
        self.count = count

    @property
    def moments(self) -> Moments:
        """Of all blocks so far.

        Raises:
            ValueError: without a block, or if values are not finite.
        """
        if self.count == 0 and len(self.mean) == 0:
            raise ValueError("there is no value to fit a normaliser to")
        variance = self.m2 / max(self.count, 1)
        bad = (~torch.isfinite(variance)).nonzero()
        if len(bad):
            raise ValueError(f"channel {int(bad[0])} holds values that are not finite, or whose squares are not")
        # The mean of equal numbers may be off by a bit.
        mean = self.mean.where(self.low != self.high, self.low)
        return Moments(self.count, mean, variance, self.low, self.high, self.dtype)


def moments(values: Iterable[Tensor]) -> Moments:
    """Of all blocks ``[N, C]`` of a stream.

    Raises:
        ValueError: as :class:`Moving`.
    """
    found = Moving()
    for block in values:
        found.add(block)
    return found.moments
