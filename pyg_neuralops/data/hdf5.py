"""The HDF5 schema through which meshes and fields come and go, and its reader.

One file holds any number of samples with any number of points each. Samples are concatenated; the offsets
of sample ``b`` are ``node_ptr[b] : node_ptr[b + 1]`` (and ``face_ptr`` ... for cells).

| dataset | shape | meaning |
|---|---|---|
| ``node_ptr`` | ``[B + 1]`` int64 | offsets of the samples' nodes |
| ``pos`` | ``[sum N, D]`` float | positions |
| ``x``, ``y`` | ``[sum N, F]``, ``[sum N, O]`` float | input and target fields, optional |
| ``weight`` | ``[sum N]`` float | nodal quadrature weights, optional |
| ``wind``, ``conductivity`` | ``[sum N, D]``, ``[sum N, D, D]`` float | what patch metrics read, optional |
| ``face``, ``quad``, ``tet`` | ``[sum T, 3 or 4]`` int | cells, optional; node numbers start at 0 in every sample |
| ``face_ptr``, ``quad_ptr``, ``tet_ptr`` | ``[B + 1]`` int64 | offsets of the samples' cells |
| ``theta`` | ``[B, P]`` float | global parameters, optional |
| ``time`` | ``[B]`` float | time, optional |
| ``grid_shape`` | ``[B, D]`` int | nodes per axis of structured grids, optional |
| ``split`` | ``[B]`` string | "train", "val" or "test", optional |

File attributes: ``format = "pyg_neuralops.meshes"``, ``version = 1``, and any provenance. The attributes
``names`` and ``units`` of ``pos``, ``x``, ``y`` and ``theta`` are lists of strings, one a channel.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from .check import checked
from .mesh_data import CELLS, MeshData

FORMAT, VERSION = "pyg_neuralops.meshes", 1
NODE_FIELDS = ("pos", "x", "y", "weight", "wind", "conductivity")
SAMPLE_FIELDS = ("theta", "time", "grid_shape", "split")
SPLITS = ("train", "val", "test")


def open_hdf5(path: str | os.PathLike[str]) -> h5py.File:
    """Open a mesh file for reading and check its layout.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, not HDF5, or not of this schema; says which dataset is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a readable HDF5 file (truncated or foreign): {error}") from None
    try:
        _check_layout(file, path)
    except ValueError:
        file.close()
        raise
    return file


def _check_layout(file: h5py.File, path: Path) -> None:
    if file.attrs.get("format") != FORMAT or file.attrs.get("version") != VERSION:
        found = f"format={file.attrs.get('format')!r}, version={file.attrs.get('version')!r}"
        raise ValueError(f"{path} has {found}; expected format={FORMAT!r}, version={VERSION}")
    for name in ("node_ptr", "pos"):
        if name not in file:
            raise ValueError(f"{path} has no dataset {name!r}; it has {sorted(file)}")
    count = len(file["node_ptr"]) - 1
    if count < 1:
        raise ValueError(f"{path} holds no sample")
    for name in (*NODE_FIELDS, *CELLS):
        if name in file:
            pointer = "node_ptr" if name in NODE_FIELDS else f"{name}_ptr"
            if pointer not in file or len(file[pointer]) != count + 1:
                raise ValueError(f"{path}: {name} needs {pointer} with {count + 1} entries")
            offsets = file[pointer][:]
            if offsets[0] != 0 or offsets[-1] != len(file[name]) or (np.diff(offsets) < 0).any():
                raise ValueError(
                    f"{path}: {pointer} runs from {offsets[0]} to {offsets[-1]}; {name} has rows 0 to {len(file[name])}"
                )
    for name in SAMPLE_FIELDS:
        if name in file and len(file[name]) != count:
            raise ValueError(f"{path}: {name} has {len(file[name])} rows; the file has {count} samples")


def read_sample(file: h5py.File, index: int) -> MeshData:
    """Sample ``index`` of an open mesh file."""
    data = MeshData()
    start, stop = file["node_ptr"][index : index + 2]
    for name in NODE_FIELDS:
        if name in file:
            data[name] = torch.from_numpy(file[name][start:stop])
    for name in CELLS:
        if name in file:
            first, last = file[f"{name}_ptr"][index : index + 2]
            data[name] = torch.from_numpy(file[name][first:last].T.astype(np.int64))
    if "theta" in file:
        data.theta = torch.from_numpy(file["theta"][index : index + 1])
    if "time" in file:
        data.time = torch.from_numpy(file["time"][index : index + 1])
    if "grid_shape" in file:
        data.grid_shape = tuple(file["grid_shape"][index].tolist())
    if "split" in file:
        data.split = file["split"].asstr()[index]
    return data


def read_hdf5(path: str | os.PathLike[str]) -> tuple[list[MeshData], dict[str, Any]]:
    """All samples of a mesh file, checked, and the file's attributes (with ``names`` and ``units`` by field).

    Raises:
        FileNotFoundError, ValueError: as :func:`open_hdf5`, and naming the first sample that is wrong.
    """
    with open_hdf5(path) as file:
        count = len(file["node_ptr"]) - 1
        samples = list(checked(read_sample(file, index) for index in range(count)))
    return samples, hdf5_info(path)


def _plain(value: Any) -> Any:
    """A number, string or list in place of NumPy's."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def hdf5_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The attributes of a mesh file, with ``names`` and ``units`` of the channels by field."""
    with open_hdf5(path) as file:
        info = {name: _plain(value) for name, value in file.attrs.items()}
        for label in ("names", "units"):
            info[label] = {
                name: [str(v) for v in data.attrs[label]] for name, data in file.items() if label in data.attrs
            }
    return info
