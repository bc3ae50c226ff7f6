"""``rollout``: a one-step model's free run, each frame predicted from predicted ones."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from ..metrics import relative_l2


@dataclass(frozen=True)
class Rollout:
    """Frames of a free run and, where the truth is known, their errors.

    Shapes: ``frames [N, steps * O]``, a frame after the other; ``errors [B, steps]`` relative L2, or None.
    """

    frames: Tensor
    errors: Tensor | None


def rollout(model: nn.Module, data: Data, steps: int, channels: int = 1) -> Rollout:
    """Predict ``steps`` frames, feeding each back into the window that the model reads.

    Args:
        model: from a window of frames to the next one, in physical units.
        data: sample or batch; the last columns of ``x [N, F]`` are the window, oldest frame first. Where F is not a
            multiple of ``channels``, the columns before the window are kept as they are. ``y``, where present,
            holds the true frames.
        steps: number of frames.
        channels: O, columns of a frame.

    Gradients flow where they are enabled.

    Raises:
        ValueError: if ``steps`` < 1, ``x`` holds no whole frame, or ``y`` holds fewer frames than ``steps``.
    """
    if steps < 1:
        raise ValueError(f"steps={steps}; it must be at least 1")
    if data.get("x") is None or data.x.shape[1] < channels:
        raise ValueError(f"x has {0 if data.get('x') is None else data.x.shape[1]} columns; a frame has {channels}")
    if data.get("y") is not None and data.y.shape[1] < steps * channels:
        raise ValueError(f"steps={steps}; y holds {data.y.shape[1] // channels} frames of {channels} columns")
    fixed, window = data.x.tensor_split([data.x.shape[1] % channels], 1)
    frames = []
    item = copy.copy(data)
    for _ in range(steps):
        item.x = torch.cat([fixed, window], 1)
        frames.append(model(item))
        window = torch.cat([window[:, channels:], frames[-1]], 1)
    errors = None
    if data.get("y") is not None:
        truth = data.y[:, : steps * channels].split(channels, 1)
        errors = torch.stack([relative_l2(a, b, data.get("batch")) for a, b in zip(frames, truth, strict=True)], 1)
    return Rollout(torch.cat(frames, 1), errors)
