"""The layout of mesh files: what must hold before a sample is read; see :mod:`pyg_neuralops.data.hdf5`."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .cells import CELLS
from .fields import FIELDS, is_text
from .hdf5_safety import refuse_external

FORMAT, VERSION, VERSIONS = "pyg_neuralops.meshes", 2, (1, 2)
DIGEST = "digest"
NODES, EDGES = "node_ptr", "edge_ptr"


def pointer_of(name: str) -> str:
    """The dataset that holds the offsets of a field: of nodes, of edges, or of the cells themselves."""
    if name in CELLS:
        return f"{name}_ptr"
    return EDGES if name in FIELDS and FIELDS[name].kind == "edge" else NODES


def open_hdf5(path: str | os.PathLike[str]) -> h5py.File:
    """Open a mesh file for reading and check its layout.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, damaged, not HDF5, or not of this schema; says which dataset is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a readable HDF5 file (truncated or foreign): {error}") from None
    try:
        _check_layout(file)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # h5py on damaged headers
        file.close()
        raise ValueError(f"{path}: {error}") from None
    return file


def _check_layout(file: h5py.File) -> None:
    refuse_external(file)
    attrs = attributes(file)
    if attrs.get("format") != FORMAT or attrs.get("version") not in VERSIONS:
        found = f"format={attrs.get('format')!r}, version={attrs.get('version')!r}"
        raise ValueError(f"the file has {found}; expected format={FORMAT!r}, version of {list(VERSIONS)}")
    for name in file:
        if not isinstance(file[name], h5py.Dataset):
            raise ValueError(f"{name} is no dataset; fields lie at the top of the file")
    for name in (NODES, "pos"):
        if name not in file:
            raise ValueError(f"there is no dataset {name!r}, only {sorted(file)}")
    count = len(_offsets(file, NODES, None)) - 1
    if count < 1:
        raise ValueError("the file holds no sample")
    for name in file:
        if not name.endswith("_ptr"):
            _check_field(file, name, count)
    if attrs.get(DIGEST, "") not in ("", header_digest(file)):
        raise ValueError(
            "the file's attributes, shapes or texts are not those that were written; it is damaged, or was changed "
            f"since (then delete the attribute {DIGEST!r})"
        )


def _offsets(file: h5py.File, name: str, count: int | None) -> np.ndarray:
    """The offsets ``[count + 1]`` called ``name``."""
    if name not in file:
        raise ValueError(f"there is no dataset {name!r}, only {sorted(file)}")
    data = file[name]
    if data.dtype.kind not in "iu" or data.ndim != 1 or not len(data):
        raise ValueError(f"{name} holds {data.dtype} of shape {list(data.shape)}; expected integers [samples + 1]")
    offsets = data[:].astype(np.int64)
    if count is not None and len(offsets) != count + 1:
        raise ValueError(f"{name} has {len(offsets)} entries; with {count} samples {count + 1} are needed")
    if offsets[0] != 0 or (np.diff(offsets) < 0).any():
        raise ValueError(f"{name} runs from {offsets[0]} to {offsets[-1]}; it must rise from 0")
    return offsets


def _check_field(file: h5py.File, name: str, count: int) -> None:
    data = file[name]
    if data.ndim == 0:
        raise ValueError(f"{name} is a single value; a row a node, cell or sample is needed")
    if is_text(name):
        if h5py.check_string_dtype(data.dtype) is None or data.ndim != 1:
            raise ValueError(f"{name} holds {data.dtype} of shape {list(data.shape)}; expected strings [samples]")
    elif data.dtype.kind not in ("iu" if name in CELLS or name in ("edge_index", "grid_shape") else "biuf"):
        raise ValueError(f"{name} holds {data.dtype}; numbers are expected")
    if name not in FIELDS and attributes(data).get("kind") != "node":
        raise ValueError(
            f"{name} is not a field of the schema, {list(FIELDS)}; a node field of your own has the "
            "attribute kind='node'"
        )
    if is_global(file, name):
        if len(data) != count:
            raise ValueError(f"{name} has {len(data)} rows; the file has {count} samples")
        return
    pointer = pointer_of(name)
    offsets = _offsets(file, pointer, count)
    if offsets[-1] != len(data):
        raise ValueError(f"{pointer} runs from 0 to {offsets[-1]}; {name} has rows 0 to {len(data)}")


def is_global(file: h5py.File, name: str) -> bool:
    """Whether a dataset has a row a sample."""
    if name == "y":
        return attributes(file[name]).get("kind") == "global"
    return name in FIELDS and FIELDS[name].kind in ("global", "static")


def attributes(place: h5py.File | h5py.Dataset) -> dict[str, Any]:
    """Attributes as numbers, strings and lists.

    Raises:
        ValueError: for one that cannot be read.
    """
    found = {}
    for name in place.attrs:
        try:
            found[name] = plain(place.attrs[name])
        except (OSError, RuntimeError, ValueError) as error:
            raise ValueError(f"attribute {name!r} of {place.name} cannot be read: {error}") from None
    return found


def plain(value: Any) -> Any:
    """A number, string or list in place of NumPy's; texts of fixed length as strings."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, bytes):
        return value.decode()
    return [plain(item) for item in value] if isinstance(value, list) else value


def header_digest(file: h5py.File) -> str:
    """SHA-256 of all that chunks' checksums do not cover: attributes, names, types, shapes, and strings."""
    outer = {name: value for name, value in attributes(file).items() if name != DIGEST}
    inner = {}
    for name, data in sorted(file.items()):
        texts = plain(data.asstr()[:]) if name == "split" else None
        inner[name] = [attributes(data), data.dtype.str, list(data.shape), texts]
    return hashlib.sha256(json.dumps([outer, inner], sort_keys=True, default=repr).encode()).hexdigest()
