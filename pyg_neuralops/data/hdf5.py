"""The HDF5 schema through which meshes and fields come and go, and its reader.

One file holds any number of samples with any number of points each. Samples are concatenated; the offsets
of sample ``b`` are ``node_ptr[b] : node_ptr[b + 1]`` (and ``face_ptr``, ``edge_ptr`` ... for cells and edges).

| dataset | shape | meaning |
|---|---|---|
| ``node_ptr`` | ``[B + 1]`` int64 | offsets of the samples' nodes |
| ``pos`` | ``[sum N, D]`` float | positions |
| ``x``, ``y`` | ``[sum N, F]``, ``[sum N, O]`` float | input and target fields, optional |
| ``y``, attribute ``kind = "global"`` | ``[B, O]`` float | numbers of whole samples as targets, optional |
| ``weight``, ``wind``, ``conductivity`` | ``[sum N, ...]`` float | see :data:`pyg_neuralops.data.FIELDS`, optional |
| any other name, attribute ``kind = "node"`` | ``[sum N, ...]`` | a node field of your own |
| ``face``, ``quad``, ``tet``, ``hex`` ... | ``[sum cells, corners]`` int | cells, numbered from 0 in every sample |
| ``edge_index``, ``edge_attr`` | ``[sum E, 2]`` int, ``[sum E, A]`` float | a graph of your own, optional |
| ``face_ptr`` ..., ``edge_ptr`` | ``[B + 1]`` int64 | offsets of the samples' cells and edges |
| ``theta`` | ``[B, P]`` float | global parameters, optional |
| ``time`` | ``[B]`` float | time, optional |
| ``grid_shape`` | ``[B, D]`` int | nodes per axis of structured grids, optional |
| ``split`` | ``[B]`` string | "train", "val" or "test", optional |
| ``source`` | ``[B]`` string | where a sample comes from, optional |

File attributes: ``format = "pyg_neuralops.meshes"``, ``version`` 1 or 2 (with fields of the user's own), and any
provenance. The attributes ``names`` and ``units`` of a field are lists of strings, one a channel. New files carry
checksums: of every chunk, and ``digest``, of all attributes and shapes (:func:`.hdf5_layout.header_digest`).
"""

from __future__ import annotations

import os
from typing import Any

import h5py
import numpy as np
import torch

from .cells import CELLS
from .check import checked
from .fields import FIELDS, is_text
from .hdf5_layout import DIGEST, NODES, attributes, is_global, open_hdf5, pointer_of
from .hdf5_safety import declared_bytes, refuse_too_large
from .mesh_data import MeshData


class SampleReader:
    """Samples of an open mesh file, one by one; its fields and their offsets are looked up once.

    Args:
        file: as :func:`open_hdf5` gives it.

    Attributes:
        sizes: nodes of every sample.
    """

    def __init__(self, file: h5py.File):
        fields = [(name, None if is_global(file, name) else pointer_of(name)) for name in _in_order(file)]
        self.offsets = {
            pointer: file[pointer][:] for pointer in {NODES, *(pointer for _, pointer in fields if pointer)}
        }
        self.fields = [(name, file[name], pointer) for name, pointer in fields]
        self.sizes: list[int] = np.diff(self.offsets[NODES]).tolist()

    def read(self, index: int) -> MeshData:
        """Sample ``index``.

        Raises:
            ValueError: naming the field that cannot be read, such as one with a wrong checksum.
        """
        data = MeshData()
        name = ""
        try:
            for name, values, pointer in self.fields:
                if pointer is None:
                    data[name] = _global(values, name, index)
                    continue
                start, stop = self.offsets[pointer][index : index + 2]
                rows = values[start:stop]
                if name in CELLS or name == "edge_index":
                    rows = rows.T.astype(np.int64)
                native = rows.astype(rows.dtype.newbyteorder("="), copy=False)
                data[name] = torch.from_numpy(np.ascontiguousarray(native))
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{name} cannot be read ({error}); the file is damaged") from None
        return data


def read_sample(file: h5py.File, index: int) -> MeshData:
    """Sample ``index`` of an open mesh file; of many, :class:`SampleReader` is faster.

    Raises:
        ValueError: as :meth:`SampleReader.read`.
    """
    return SampleReader(file).read(index)


def _in_order(file: h5py.File) -> list[str]:
    """Fields in the order of the table, then those of the user's own."""
    found = [name for name in file if not name.endswith("_ptr")]
    return [name for name in FIELDS if name in found] + [name for name in found if name not in FIELDS]


def _global(values: h5py.Dataset, name: str, index: int) -> Any:
    if is_text(name):
        return values.asstr()[index]
    if name == "grid_shape":
        return tuple(values[index].tolist())
    rows = values[index : index + 1]
    return torch.from_numpy(rows.astype(rows.dtype.newbyteorder("="), copy=False))


def read_hdf5(path: str | os.PathLike[str]) -> tuple[list[MeshData], dict[str, Any]]:
    """All samples of a mesh file, checked, and the file's attributes (with ``names`` and ``units`` by field).

    Raises:
        FileNotFoundError, ValueError: as :func:`open_hdf5`, and naming the first sample that is wrong.
    """
    with open_hdf5(path) as file:
        try:
            refuse_too_large("the file", sum(declared_bytes(data) for data in file.values()))
            reader = SampleReader(file)
            samples = list(checked(map(reader.read, range(len(reader.sizes)))))
        except ValueError as error:
            raise ValueError(f"{path}, {error}") from None
        return samples, _info(file)


def hdf5_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The attributes of a mesh file, with ``names`` and ``units`` of the channels by field."""
    with open_hdf5(path) as file:
        return _info(file)


def _info(file: h5py.File) -> dict[str, Any]:
    info = {name: value for name, value in attributes(file).items() if name != DIGEST}
    for label in ("names", "units"):
        found = {name: attributes(data).get(label) for name, data in file.items()}
        info[label] = {name: [str(v) for v in values] for name, values in found.items() if values is not None}
    return info
