"""Validation of mesh samples: the first sample and field that is wrong is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from .mesh_data import CELLS, MeshData

FLOATS = (torch.float32, torch.float64)


def _check_float(name: str, value: object, rows: int | None, dtype: torch.dtype | None) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is a {type(value).__name__}; a torch.Tensor is needed")
    if value.dtype not in FLOATS:
        raise ValueError(f"{name} has dtype {value.dtype}; use torch.float32 or torch.float64")
    if dtype is not None and value.dtype != dtype:
        raise ValueError(f"{name} has dtype {value.dtype} but pos has {dtype}; use one dtype for all fields")
    if value.dim() != 2 or (rows is not None and value.shape[0] != rows):
        rows_text = "N" if rows is None else str(rows)
        raise ValueError(f"{name} has shape {list(value.shape)}; expected [{rows_text}, channels]")
    bad = ~torch.isfinite(value)
    if bad.any():
        row, column = bad.nonzero()[0].tolist()
        raise ValueError(f"{name} holds {value[row, column].item()} at row {row}, column {column}")


def _check_cells(name: str, value: Tensor, num_nodes: int) -> None:
    corners = CELLS[name]
    if value.is_floating_point() or value.dtype == torch.bool or value.dim() != 2 or value.shape[0] != corners:
        raise ValueError(
            f"{name} has dtype {value.dtype} and shape {list(value.shape)}; expected integers [{corners}, cells]"
        )
    if value.numel() and (int(value.min()) < 0 or int(value.max()) >= num_nodes):
        raise ValueError(
            f"{name} refers to nodes {int(value.min())} to {int(value.max())}; "
            f"the sample has nodes 0 to {num_nodes - 1}"
        )


def check_sample(data: MeshData, like: MeshData | None = None) -> None:
    """Raise unless ``data`` is a valid mesh sample, alike in channels and dtype to ``like`` when given.

    Raises:
        ValueError: naming the field, what was found and what is allowed.
    """
    if data.get("pos") is None:
        raise ValueError("pos is missing; every sample needs positions [N, D]")
    _check_float("pos", data.pos, None, None)
    nodes, dim = data.pos.shape
    if nodes == 0 or dim not in (1, 2, 3):
        raise ValueError(f"pos has shape {list(data.pos.shape)}; expected [N, D] with N >= 1 and D = 1, 2 or 3")
    for name in ("x", "y"):
        if data.get(name) is not None:
            _check_float(name, data[name], nodes, data.pos.dtype)
    if data.get("theta") is not None:
        _check_float("theta", data.theta, 1, data.pos.dtype)
    fixed = {"weight": [nodes], "time": [1], "wind": [nodes, dim], "conductivity": [nodes, dim, dim]}
    for name, shape in fixed.items():
        value = data.get(name)
        if value is not None:
            if not isinstance(value, Tensor) or list(value.shape) != shape:
                raise ValueError(f"{name} has shape {list(getattr(value, 'shape', []))}; expected {shape}")
            _check_float(name, value.reshape(shape[0], -1), shape[0], data.pos.dtype)
    for name, value in data.cells.items():
        _check_cells(name, value, nodes)
    grid = data.get("grid_shape")
    if grid is not None and torch.Size(grid).numel() != nodes:
        raise ValueError(f"grid_shape {tuple(grid)} has {torch.Size(grid).numel()} nodes; pos has {nodes}")
    if like is not None:
        _check_alike(data, like)


def _check_alike(data: MeshData, like: MeshData) -> None:
    if data.pos.dtype != like.pos.dtype:
        raise ValueError(f"pos has dtype {data.pos.dtype}; the first sample has {like.pos.dtype}")
    for name in ("pos", "x", "y", "theta", "weight", "wind", "conductivity", "time", "grid_shape", *CELLS):
        here, there = data.get(name), like.get(name)
        if (here is None) != (there is None):
            raise ValueError(f"{name} is {'missing' if here is None else 'present'}; in the first sample it is not")
        if name in ("pos", "x", "y", "theta") and here is not None and here.shape[1] != there.shape[1]:
            raise ValueError(f"{name} has {here.shape[1]} channels; the first sample has {there.shape[1]}")


def checked(samples: Iterable[MeshData], what: str = "sample") -> Iterator[MeshData]:
    """Yield the samples one by one, each checked on its own and against the first.

    Raises:
        ValueError: "sample 3: y holds nan at row 7, column 0".
    """
    first = None
    for index, data in enumerate(samples):
        try:
            check_sample(data, first)
        except ValueError as error:
            raise ValueError(f"{what} {index}: {error}") from None
        first = data if first is None else first
        yield data
