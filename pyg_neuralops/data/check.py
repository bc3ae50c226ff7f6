"""The one check of mesh samples: the first sample and field that is wrong is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch_geometric.data import Data

from .cells import CELLS
from .convert import FLOATS, converted
from .fields import FIELDS, RESERVED, field_of, is_text
from .mesh_data import MeshData
from .quadrature import with_weights
from .resolution import Resolution

SPLITS = ("train", "val", "test")


def as_mesh_data(sample: Data, dtype: torch.dtype | None = None) -> MeshData:
    """The door: a valid :class:`MeshData` of whatever a user brings, or an error that names the field.

    Plain ``Data`` and NumPy arrays are taken; integers, booleans and other floats among the real fields become
    ``dtype``; cells int64; ``[N]`` columns ``[N, 1]``. What needs no change is handed out as it is, else a
    shallow copy.

    Args:
        sample: one sample, or a batch of MeshData, which is not looked into.
        dtype: of real fields, float32 or float64; that of ``pos`` where it is one of the two when None, else float32.

    Raises:
        ValueError: naming the field, what was found and what is allowed.
    """
    data = converted(sample, dtype)
    if data.get("ptr") is not None or data.get("batch") is not None:
        return data
    check_sample(data)
    return data if data.get("weight_key") is None else with_weights(data)


def check_sample(data: MeshData, like: MeshData | None = None) -> None:
    """Raise unless ``data`` is a valid mesh sample, alike in channels and dtype to ``like`` when given.

    Raises:
        ValueError: naming the field, what was found and what is allowed.
    """
    if data.get("pos") is None:
        raise ValueError("pos is missing; every sample needs positions [N, D]")
    _check_real("pos", data.pos, ("N", "D"), {}, None)
    nodes, dim = data.pos.shape
    if nodes == 0 or dim not in (1, 2, 3):
        raise ValueError(f"pos has shape {list(data.pos.shape)}; expected [N, D] with N >= 1 and D = 1, 2 or 3")
    sizes = {"N": nodes, "D": dim}
    reserved = [name for name in RESERVED if name != "y_scale" and data.get(name) is not None]
    if reserved:
        raise ValueError(f"{reserved} are names that batches and models write; give the field another name")
    scale = data.get("y_scale")
    if scale is not None and not (isinstance(scale, Tensor) and scale.dim() == 2 and len(scale) == 1):
        raise ValueError("y_scale is a name that tasks write; give the field another name")
    edges = data.get("edge_index")
    if isinstance(edges, Tensor):
        sizes["E"] = edges.shape[-1] if edges.dim() else 0
    for name, value in data.to_dict().items():
        field = field_of(name, value, nodes)
        if field.kind == "cell" or name == "edge_index":
            _check_indices(name, value, CELLS[name].corners if name in CELLS else 2, nodes)
        elif field.kind in ("edge", "global") or (name in FIELDS and field.kind == "node"):
            rows = {"N": 1} if name == "y" and isinstance(value, Tensor) and value.shape[:1] == (1,) else {}
            _check_real(name, value, field.shape, {**sizes, **rows}, data.pos.dtype)
        elif field.kind == "node":
            _check_own(name, value, data.pos.dtype)
    weight = data.get("weight")
    if weight is not None and not (weight.min() >= 0 and weight.max() > 0):
        raise ValueError(
            f"weight runs from {float(weight.min()):.3g} to {float(weight.max()):.3g}; expected at least 0"
        )
    if edges is None and data.get("edge_attr") is not None:
        raise ValueError("edge_attr is there without edge_index, whose edges it describes")
    _check_grid(data.get("grid_shape"), nodes)
    split = data.get("split")
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}; choose from {list(SPLITS)}")
    if like is not None:
        check_alike(data, like)


def _check_real(
    name: str, value: object, shape: tuple[str | int, ...], sizes: dict[str, int], dtype: torch.dtype | None
) -> None:
    """Raise unless ``value`` is a finite float tensor of this shape; letters without a size stand for any."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is a {type(value).__name__}; a torch.Tensor is needed")
    if value.dtype not in FLOATS:
        raise ValueError(f"{name} has dtype {value.dtype}; use torch.float32 or torch.float64")
    if dtype is not None and value.dtype != dtype:
        raise ValueError(f"{name} has dtype {value.dtype} but pos has {dtype}; use one dtype for all fields")
    expected = [sizes.get(size, size) if isinstance(size, str) else size for size in shape]
    fits = value.dim() == len(shape) and all(
        isinstance(want, str) or have == want for have, want in zip(value.shape, expected, strict=True)
    )
    if not fits:
        words = ", ".join("channels" if size in ("F", "O", "P", "A") else str(size) for size in expected)
        raise ValueError(f"{name} has shape {list(value.shape)}; expected [{words}]")
    _check_finite(name, value)


def _check_finite(name: str, value: Tensor) -> None:
    bad = ~torch.isfinite(value)
    if bad.any():
        at = bad.nonzero()[0].tolist()
        place = ", ".join(f"{axis} {index}" for axis, index in zip(("row", "column", "layer"), at, strict=False))
        raise ValueError(f"{name} holds {value[tuple(at)].item()} at {place}")


def _check_own(name: str, value: Tensor, dtype: torch.dtype) -> None:
    """A node field of a name of the user's: numbers of any kind, but no floats of another type than positions."""
    if value.is_complex() or (value.is_floating_point() and value.dtype != dtype):
        raise ValueError(f"{name} has dtype {value.dtype} but pos has {dtype}; use one dtype for all fields")
    if value.is_floating_point():
        _check_finite(name, value)


def _check_indices(name: str, value: object, rows: int, nodes: int) -> None:
    """Raise unless ``value`` is ``[rows, count]`` of node numbers."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is a {type(value).__name__}; a torch.Tensor is needed")
    wrong = value.is_floating_point() or value.is_complex() or value.dtype == torch.bool
    if wrong or value.dim() != 2 or value.shape[0] != rows:
        turned = value.dim() == 2 and value.shape[1] == rows and value.shape[0] != rows
        raise ValueError(
            f"{name} has dtype {value.dtype} and shape {list(value.shape)}; expected integers [{rows}, "
            f"{'edges' if name == 'edge_index' else 'cells'}]{'; is it transposed?' if turned else ''}"
        )
    if value.numel() and (int(value.min()) < 0 or int(value.max()) >= nodes):
        raise ValueError(
            f"{name} refers to nodes {int(value.min())} to {int(value.max())}; the sample has nodes 0 to {nodes - 1}"
        )


def _check_grid(grid: object, nodes: int) -> None:
    if grid is None:
        return
    if not isinstance(grid, (tuple, list)) or not all(type(size) is int and size > 0 for size in grid):
        raise ValueError(f"grid_shape is {grid!r}; expected a tuple of positive integers, one an axis")
    if torch.Size(grid).numel() != nodes:
        raise ValueError(f"grid_shape {tuple(grid)} has {torch.Size(grid).numel()} nodes; pos has {nodes}")


def check_alike(data: MeshData, like: MeshData) -> None:
    """Raise unless two samples have the same fields, dtypes and channels; types of cells may differ.

    Raises:
        ValueError: naming the first field that is not alike.
    """
    if data.pos.dtype != like.pos.dtype:
        raise ValueError(f"pos has dtype {data.pos.dtype}; the first sample has {like.pos.dtype}")
    names = dict.fromkeys([*like.to_dict(), *data.to_dict()])
    for name in names:
        here, there = data.get(name), like.get(name)
        if name in CELLS or is_text(name):
            continue
        if (here is None) != (there is None):
            raise ValueError(f"{name} is {'missing' if here is None else 'present'}; in the first sample it is not")
        if not isinstance(here, Tensor) or field_of(name, here, data.num_nodes).kind == "prepared":
            continue
        channels = [list(value.shape[1:]) for value in (here, there) if name != "edge_index"]
        if channels and channels[0] != channels[1]:
            raise ValueError(f"{name} has {_words(channels[0])} channels; the first sample has {_words(channels[1])}")
        sizes = data.num_nodes, like.num_nodes
        # On a mesh of one node nobody can tell a field from a number of the whole.
        if name == "y" and min(sizes) > 1 and (len(here) == sizes[0]) != (len(there) == sizes[1]):
            raise ValueError(f"y has {len(here)} rows for {sizes[0]} nodes; in the first sample it is of another kind")


def _words(shape: list[int]) -> str:
    return " x ".join(map(str, shape)) or "no"


def checked(samples: Iterable[Data], what: str = "sample", dtype: torch.dtype | None = None) -> Iterator[MeshData]:
    """Yield the samples one by one through :func:`as_mesh_data`, each checked on its own and against the first.

    Raises:
        ValueError: "sample 3: y holds nan at row 7, column 0"; at the end, for a channel of doubles that varies but is
            constant in ``dtype``.
    """
    first, resolution = None, Resolution()
    for index, sample in enumerate(samples):
        try:
            data = as_mesh_data(sample, dtype)
            if first is not None:
                check_alike(data, first)
        except ValueError as error:
            raise ValueError(f"{what} {index}: {error}") from None
        first = data if first is None else first
        resolution.add(sample, data)
        yield data
    resolution.check()
