"""``write_hdf5``: samples into a file of the schema in :mod:`pyg_neuralops.data.hdf5`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .check import checked
from .files import RememberingFile, replacing
from .hdf5 import FORMAT, NODE_FIELDS, SPLITS, VERSION
from .mesh_data import MeshData

FLUSHED = 2**26
"""Bytes held before they are written."""


class _Columns:
    """Datasets that grow along their first axis, written in blocks of samples."""

    def __init__(self, file: h5py.File):
        self.file = file
        self.rows: dict[str, list[np.ndarray]] = {}
        self.nbytes = 0

    def add(self, name: str, rows: np.ndarray) -> None:
        self.nbytes += rows.nbytes
        self.rows.setdefault(name, []).append(rows)

    def flush(self) -> None:
        for name, blocks in self.rows.items():
            block = np.concatenate(blocks)
            if name not in self.file:
                chunk = (max(1, min(len(block), 16384)), *block.shape[1:])
                text = block.dtype.kind in "OU"
                self.file.create_dataset(
                    name,
                    (0, *block.shape[1:]),
                    h5py.string_dtype() if text else block.dtype,
                    maxshape=(None, *block.shape[1:]),
                    chunks=chunk,
                    # Grids repeat their points and cells in every sample.
                    **({} if text else {"compression": "lzf", "shuffle": True}),
                )
            data = self.file[name]
            data.resize(len(data) + len(block), axis=0)
            data[len(data) - len(block) :] = block
        self.rows.clear()
        self.nbytes = 0


def write_hdf5(
    path: str | os.PathLike[str],
    samples: Iterable[MeshData],
    *,
    names: Mapping[str, Sequence[str]] | None = None,
    units: Mapping[str, Sequence[str]] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> Path:
    """Write samples to one HDF5 file, streaming; the file appears whole or not at all.

    Args:
        path: the file to write; an existing one is replaced once the new one is complete.
        samples: mesh samples, each optionally with a string ``split``; checked on the way.
        names: channel names by field, ``{"x": ["permeability"], "y": ["pressure"]}``.
        units: units by field, in the same form.
        attrs: provenance, written as file attributes (numbers, strings, or lists of them).

    Raises:
        ValueError: naming the first sample and field that is wrong, or when there is no sample.
    """
    path = Path(path)
    with replacing(path) as temporary, _create(temporary) as (file, raw):
        columns = _Columns(file)
        ptr: dict[str, list[int]] = {"node": [0]}
        for index, data in enumerate(checked(samples)):
            ptr["node"].append(ptr["node"][-1] + data.pos.shape[0])
            for name in NODE_FIELDS:
                if data.get(name) is not None:
                    columns.add(name, data[name].detach().cpu().numpy())
            for name, cells in data.cells.items():
                columns.add(name, cells.t().cpu().numpy())
                ptr.setdefault(name, [0]).append(ptr.get(name, [0])[-1] + cells.shape[1])
            _add_sample_fields(columns, data, index)
            if index % 64 == 63 or columns.nbytes > FLUSHED:
                columns.flush()
                raw.check()
        if len(ptr["node"]) == 1:
            raise ValueError("there is no sample to write; at least one is needed")
        columns.flush()
        for name, offsets in ptr.items():
            file[f"{name}_ptr"] = np.asarray(offsets, np.int64)
        file.attrs.update({**(attrs or {}), "format": FORMAT, "version": VERSION})
        for label, table in (("names", names), ("units", units)):
            for field, values in (table or {}).items():
                _label(file, field, label, values)
    return path


@contextmanager
def _create(path: Path) -> Iterator[tuple[h5py.File, RememberingFile]]:
    """A new file, and the file below it, which knows whether writing has failed."""
    with RememberingFile(path, "w+b") as raw:
        with h5py.File(raw, "w") as file:
            yield file, raw
        raw.check()


def _add_sample_fields(columns: _Columns, data: MeshData, index: int) -> None:
    if data.get("theta") is not None:
        columns.add("theta", data.theta.detach().cpu().numpy())
    if data.get("time") is not None:
        columns.add("time", data.time.detach().cpu().numpy())
    if data.get("grid_shape") is not None:
        columns.add("grid_shape", np.asarray([data.grid_shape], np.int64))
    split = data.get("split")
    if split is not None:
        if split not in SPLITS:
            raise ValueError(f"sample {index}: split is {split!r}; choose from {list(SPLITS)}")
        columns.add("split", np.asarray([split], object))


def _label(file: h5py.File, field: str, label: str, values: Sequence[str]) -> None:
    if field not in file:
        raise ValueError(f"{label} are given for field {field!r}; the samples have {sorted(file)}")
    columns = 1 if file[field].ndim == 1 else file[field].shape[1]
    if len(values) != columns:
        raise ValueError(f"{label} of {field} has {len(values)} entries; the field has {columns} channels")
    file[field].attrs[label] = list(values)
