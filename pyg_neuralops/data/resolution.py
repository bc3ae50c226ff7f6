"""``Resolution``: whether what varies in double precision still varies in single precision."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from .mesh_data import MeshData

FIELDS = ("x", "y", "theta")
NOISE = 1e-12
"""What varies by less than this part of its size is a constant that was computed."""


class Resolution:
    """Least and greatest value of every channel, before and after conversion, over a set of samples.

    One sample may well be constant where others are not, so this is a question to the set: a pressure of
    101325 Pa +- 1 mPa has lost its variation in float32, and a model would learn a constant without a word.
    """

    def __init__(self) -> None:
        self.spans: dict[str, Tensor] = {}  # each [4, C]: -min and max before, -min and max after

    def add(self, before: Data, after: MeshData) -> None:
        for name in FIELDS:
            value, found = after.get(name), before.get(name)
            found = torch.from_numpy(found) if isinstance(found, np.ndarray) and found.dtype == np.float64 else found
            if not isinstance(found, Tensor) or found.dtype != torch.float64 or value is None:
                continue
            if value.dtype == torch.float64 or not value.numel():
                continue
            rows = [v.detach().double().reshape(value.shape) for v in (found, value)]
            span = torch.stack([bound for v in rows for bound in ((-v).amax(0), v.amax(0))])
            self.spans[name] = torch.maximum(span, self.spans[name]) if name in self.spans else span

    def check(self) -> None:
        """Raise if a channel has become constant.

        Raises:
            ValueError: naming field and channel.
        """
        for name, span in self.spans.items():
            size = torch.maximum(span[0].abs(), span[1].abs())
            lost = (span[0] + span[1] > NOISE * size) & (span[2] + span[3] == 0)
            if lost.any():
                channel = int(lost.nonzero()[0])
                raise ValueError(
                    f"channel {channel} of {name} varies by {float((span[0] + span[1])[channel]):.3g} around "
                    f"{float(span[1][channel]):.6g}, which is constant in float32; subtract an offset from it first"
                )
