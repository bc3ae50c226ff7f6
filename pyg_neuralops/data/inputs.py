"""What a prediction depends on, at the nodes: input fields, global parameters and time."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Data

FREQUENCIES = 4
TIME_CHANNELS = 1 + 2 * FREQUENCIES


def time_features(time: Tensor) -> Tensor:
    """``[t, sin(2^k pi t), cos(2^k pi t) for k = 0 ... 3]`` of times in [0, 1]. ``[B] -> [B, 9]``"""
    powers = torch.tensor([2.0**k for k in range(FREQUENCIES)], device=time.device, dtype=time.dtype)
    angles = math.pi * time[:, None] * powers  # [B, 4]
    return torch.cat([time[:, None], angles.sin(), angles.cos()], 1)


def input_parts(data: Data) -> dict[str, Tensor]:
    """The inputs that are present, by name and in the order in which models read them, a row a node.

    Shapes: ``x [N, F]``; ``theta [N, P]``, each sample's parameters at all of its nodes; ``time [N, 9]``, the
    :func:`time_features` of each sample's time.

    Raises:
        ValueError: if ``theta`` or ``time`` does not have one row a sample.
    """
    found: dict[str, Tensor] = {}
    if data.get("x") is not None:
        found["x"] = _real(data.x, data.pos)
    if data.get("theta") is not None:
        found["theta"] = _at_nodes("theta", _real(data.theta, data.pos), data)
    if data.get("time") is not None:
        found["time"] = _at_nodes("time", time_features(_real(data.time, data.pos)), data)
    return found


def node_inputs(data: Data) -> Tensor:
    """:func:`input_parts` side by side, ``[N, F + P + 9]``; without any, ``[N, 0]``."""
    parts = list(input_parts(data).values())
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts, 1) if parts else data.pos.new_zeros(len(data.pos), 0)


def _real(value: Tensor, pos: Tensor) -> Tensor:
    """Counts and flags as numbers that a layer can read."""
    return value if value.is_floating_point() else value.to(pos.dtype)


def _at_nodes(name: str, value: Tensor, data: Data) -> Tensor:
    batch, ptr = data.get("batch"), data.get("ptr")
    count = 1 if batch is None else value.shape[0] if ptr is None else len(ptr) - 1
    if value.dim() != 2 or value.shape[0] != count:
        raise ValueError(f"{name} has {value.shape[0]} rows for {count} samples; one a sample is needed")
    return value.expand(len(data.pos), -1) if batch is None else value.index_select(0, batch)
