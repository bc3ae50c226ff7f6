"""``rollout``: a one-step model's free run, each frame predicted from predicted ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from ..metrics import relative_l2


@dataclass(frozen=True)
class Rollout:
    """Frames of a free run and, where the truth is known, their errors.

    Shapes: ``frames [N, steps * O]``, a frame after the other; ``errors [B, steps]`` relative L2 (NaN where a
    true frame is zero), or None.
    """

    frames: Tensor
    errors: Tensor | None


def rollout(model: nn.Module, data: Data, steps: int, channels: int = 1, static: Sequence[str] = ()) -> Rollout:
    """Predict ``steps`` frames, feeding each back into the window that the model reads.

    Args:
        model: from a window of frames to the next one, in physical units.
        data: sample or batch; ``x [N, F]`` is the window, oldest frame first. ``y``, where present, holds the true
            frames.
        steps: number of frames.
        channels: O, columns of a frame.
        static: node fields of ``data`` that the model reads before the window, at every step the same.

    Gradients flow where they are enabled.

    Raises:
        ValueError: if ``steps`` < 1, ``x`` is not whole frames, a static field is not there, or ``y`` holds fewer
            frames than ``steps``.
    """
    if steps < 1:
        raise ValueError(f"steps={steps}; it must be at least 1")
    fixed, window = static_fields(data, static), window_of(data, channels)
    if data.get("y") is not None and data.y.shape[1] < steps * channels:
        raise ValueError(f"steps={steps}; y holds {data.y.shape[1] // channels} frames of {channels} columns")
    frames = []
    item = copy.copy(data)
    for _ in range(steps):
        item.x = torch.cat([*fixed, window], 1)
        frames.append(model(item))
        window = torch.cat([window[:, channels:], frames[-1]], 1)
    errors = None
    if data.get("y") is not None:
        truth = data.y[:, : steps * channels].split(channels, 1)
        count = data.num_graphs if isinstance(data, Batch) else 1
        pairs = zip(frames, truth, strict=True)
        errors = torch.stack([relative_l2(a, b, data.get("batch"), None, count) for a, b in pairs], 1)
    return Rollout(torch.cat(frames, 1), errors)


def window_of(data: Data, channels: int) -> Tensor:
    """``x``, if it is whole frames of ``channels`` columns."""
    columns = 0 if data.get("x") is None else data.x.shape[1]
    if columns < channels:
        raise ValueError(f"x has {columns} columns; a window of frames of {channels} is needed")
    if columns % channels:
        raise ValueError(
            f"x has {columns} columns, which are not whole frames of {channels}; keep inputs that do not change in a "
            "node field of their own, data.NAME [N, columns], and name it: static=('NAME',)"
        )
    return data.x


def static_fields(data: Data, static: Sequence[str]) -> list[Tensor]:
    """The named node fields, ``[N, columns]`` each."""
    for name in static:
        value = data.get(name)
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != data.num_nodes:
            found = list(value.shape) if isinstance(value, Tensor) else value
            raise ValueError(f"static names {name!r}, which is {found}; a node field [{data.num_nodes}, ...] is needed")
    return [data[name].reshape(data.num_nodes, -1).to(data.x.dtype) for name in static]
