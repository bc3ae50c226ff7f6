"""From what a user brings to tensors of the right kind; nothing is checked beyond what conversion needs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from .cells import CELLS
from .fields import FIELDS, field_of, is_text
from .mesh_data import MeshData

FLOATS = (torch.float32, torch.float64)


def converted(sample: Any, dtype: torch.dtype | None = None) -> MeshData:
    """``sample`` as :class:`MeshData` with tensors of the types that its fields ask for.

    Raises:
        ValueError: for what cannot be converted, naming the field.
    """
    if dtype not in (None, *FLOATS):
        raise ValueError(f"dtype={dtype}; choose from {list(FLOATS)}")
    if not isinstance(sample, Data):
        raise ValueError(f"the sample is a {type(sample).__name__}; a MeshData or a PyG Data is needed")
    if sample.get("ptr") is not None or sample.get("batch") is not None:
        return _batch(sample)
    values = {name: _tensor(name, value) for name, value in sample.to_dict().items() if value is not None}
    pos = values.get("pos")
    if not isinstance(pos, Tensor) or pos.dim() == 0:
        raise ValueError("pos is missing; every sample needs positions [N, D]")
    if dtype is None:
        dtype = pos.dtype if pos.dtype in FLOATS else torch.float32
    nodes = len(pos)
    values = {name: _cast(name, value, nodes, dtype) for name, value in values.items()}
    same = all(value is sample.get(name) for name, value in values.items())
    if same and isinstance(sample, MeshData):
        return sample
    out = copy.copy(sample) if isinstance(sample, MeshData) else MeshData()
    return out.update(values)


def _batch(batch: Data) -> MeshData:
    rows = batch.get("batch")
    if batch.get("ptr") is None and rows is not None and (rows.diff() < 0).any():
        raise ValueError("batch does not rise from 0; the nodes of a sample must stand together, in the samples' order")
    if isinstance(batch, MeshData):
        return batch
    wrong = [name for name in CELLS if name != "face" and batch.get(name) is not None]
    if wrong:
        raise ValueError(
            f"the batch was made of plain Data, whose {wrong} PyG does not shift to each sample's nodes; make the "
            "samples MeshData before they are batched (data.as_mesh_data, data.mesh_loader)"
        )
    return batch  # type: ignore[return-value]


def _tensor(name: str, value: Any) -> Any:
    """NumPy arrays, numbers and lists of numbers as tensors; what else there is unchanged."""
    if isinstance(value, Tensor) or is_text(name) or isinstance(value, (str, Mapping)):
        return value
    if name == "grid_shape":
        listed = value.tolist() if isinstance(value, np.ndarray) else value
        return tuple(listed) if isinstance(listed, list) else listed
    if isinstance(value, (bool, int, float, complex, list, tuple)) and name in FIELDS:
        value = _array(name, value)
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {value.dtype}; numbers are needed")
    if value.dtype.kind in "iu" and value.size and value.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name} holds {value.max()}, which is beyond int64")
    wide = value.astype({"u": np.int64}.get(value.dtype.kind, value.dtype.newbyteorder("=")), copy=False)
    if wide.dtype == np.longdouble:
        wide = wide.astype(np.float64)
    return torch.from_numpy(np.ascontiguousarray(wide))


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} is no array of numbers: {error}") from None


def _cast(name: str, value: Any, nodes: int, dtype: torch.dtype) -> Any:
    if not isinstance(value, Tensor):
        return value
    field = field_of(name, _shaped(name, value, nodes), nodes)
    if field.kind == "prepared":
        return value
    value = _shaped(name, value, nodes)
    if not field.real:
        whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
        if whole and value.dtype == torch.uint64 and value.numel() and int(value.cpu().numpy().max()) >= 2**63:
            raise ValueError(f"{name} holds numbers beyond int64")
        return value.long() if whole else value
    if value.is_complex():
        raise ValueError(
            f"{name} has dtype {value.dtype}; real numbers are needed: give real and imaginary part as channels"
        )
    if name not in FIELDS and not value.is_floating_point():  # marks and types of nodes stay what they are
        return value if value.dtype in (torch.bool, torch.int64) else value.long()
    if value.dtype == torch.float64 and dtype == torch.float32 and value.dim():
        _check_range(name, value)
        if name == "pos":
            _check_resolution(value)
    return value.to(dtype)


def _shaped(name: str, value: Tensor, nodes: int) -> Tensor:
    """The shapes that can be meant in one way only: columns without their second axis, globals without their first."""
    if name in ("pos", "x", "y") and value.dim() == 1 and len(value) == nodes:
        return value[:, None]
    if name == "weight" and value.dim() == 2 and value.shape[1] == 1:
        return value[:, 0]
    if name == "theta" and value.dim() < 2:
        return value.reshape(1, -1)
    if name == "time" and value.numel() == 1:
        return value.reshape(1)
    if name == "edge_attr" and value.dim() == 1:
        return value[:, None]
    return value


def _check_range(name: str, value: Tensor) -> None:
    """Raise where float64 holds what float32 cannot: a channel that overflows, or vanishes as a whole."""
    info = torch.finfo(torch.float32)
    largest = (
        value.detach().abs().reshape(len(value), -1).nan_to_num(0, 0, 0).amax(0)
        if value.numel()
        else value.new_zeros(0)
    )
    for channel, most in enumerate(largest.tolist()):
        if most > info.max or 0 < most < info.tiny:
            raise ValueError(
                f"{name} has values of up to {most:.3g} in channel {channel}, which float32 cannot hold; scale it first"
            )


def _check_resolution(pos: Tensor) -> None:
    """Raise where positions are so far from the origin that float32 does not tell neighbours apart."""
    pos = pos.detach()
    if not (len(pos) and torch.isfinite(pos).all()):
        return
    extent = (pos.amax(0) - pos.amin(0)).max()
    spacing = extent / max(1.0, len(pos) ** (1 / pos.shape[1]))
    if pos.abs().max() * torch.finfo(torch.float32).eps > 1e-2 * spacing > 0:
        raise ValueError(
            f"positions up to {float(pos.abs().max()):.3g} with a spacing of about {float(spacing):.3g} "
            "do not survive float32; subtract an offset from them first"
        )
