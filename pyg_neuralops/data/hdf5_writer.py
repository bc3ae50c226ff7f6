"""``write_hdf5``: samples into a file of the schema in :mod:`pyg_neuralops.data.hdf5`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .check import SPLITS, checked
from .fields import FIELDS, field_of
from .files import RememberingFile, replacing
from .hdf5_layout import DIGEST, FORMAT, VERSION, header_digest, pointer_of
from .mesh_data import MeshData
from .prepared import made_edges

LONGEST_SPLIT = max(map(len, SPLITS))
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
                self.file.create_dataset(
                    name,
                    (0, *block.shape[1:]),
                    block.dtype,
                    maxshape=(None, *block.shape[1:]),
                    chunks=chunk,
                    fletcher32=True,
                    # Grids repeat their points and cells in every sample.
                    compression="lzf",
                    shuffle=True,
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
        samples: mesh samples, each optionally with a string ``split``; checked on the way. What a
            model has prepared is left out, as is ``source``.
        names: channel names by field, ``{"x": ["permeability"], "y": ["pressure"]}``.
        units: units by field, in the same form.
        attrs: provenance, written as file attributes (numbers, strings, or lists of them).

    Raises:
        ValueError: naming the first sample and field that is wrong, or when there is no sample.
    """
    path = Path(path)
    with replacing(path) as temporary, _create(temporary) as (file, raw):
        columns = _Columns(file)
        ptr: dict[str, list[int]] = {"node_ptr": [0]}
        kinds: dict[str, str] = {}
        count = 0
        for data in checked(samples):
            _add_sample(columns, ptr, kinds, data, count)
            count += 1
            if count % 64 == 0 or columns.nbytes > FLUSHED:
                columns.flush()
                raw.check()
        if count == 0:
            raise ValueError("there is no sample to write; at least one is needed")
        for name, offsets in ptr.items():
            columns.add(name, np.asarray(offsets, np.int64))
        columns.flush()
        for name, kind in kinds.items():
            _set(file[name], "kind", kind)
        for name, value in {**(attrs or {}), "format": FORMAT, "version": VERSION}.items():
            _set(file, name, value)
        for label, table in (("names", names), ("units", units)):
            for field, values in (table or {}).items():
                _label(file, field, label, values)
        _set(file, DIGEST, header_digest(file))
    return path


@contextmanager
def _create(path: Path) -> Iterator[tuple[h5py.File, RememberingFile]]:
    """A new file, and the file below it, which knows whether writing has failed."""
    with RememberingFile(path, "w+b") as raw:
        # In this format HDF5 keeps checksums of its own tables too.
        with h5py.File(raw, "w", libver=("v110", "v110")) as file:
            yield file, raw
        raw.check()


def _add_sample(
    columns: _Columns, ptr: dict[str, list[int]], kinds: dict[str, str], data: MeshData, index: int
) -> None:
    """Append the fields of sample number ``index``, the offsets after it, and the kinds that names do not tell."""
    ends = {"node_ptr": data.num_nodes}
    for name, value in data.to_dict().items():
        kind = field_of(name, value, data.num_nodes).kind
        if name == "source" or kind == "prepared" or name in made_edges(data):  # what can be made again
            continue
        if name.endswith("_ptr") or "/" in name or set(name) == {"."}:
            raise ValueError(f"sample {index}: {name!r} cannot be the name of a field in a file; choose another")
        if name == "split":
            columns.add(name, _text([value], LONGEST_SPLIT))
        elif name == "grid_shape":
            columns.add(name, np.asarray([value], np.int64))
        else:
            turned = kind == "cell" or name == "edge_index"
            columns.add(name, (value.t() if turned else value).detach().cpu().numpy())
            if turned:
                ends[pointer_of(name)] = value.shape[1]
            if name not in FIELDS or (name == "y" and len(value) != data.num_nodes):
                kinds[name] = "node" if name not in FIELDS else "global"
    for name in {**ptr, **ends}:
        # A type of cells that begins late has none in the samples before.
        offsets = ptr.setdefault(name, [0] * (index + 1))
        offsets.append(offsets[-1] + ends.get(name, 0))


def _label(file: h5py.File, field: str, label: str, values: Sequence[str]) -> None:
    if field not in file:
        raise ValueError(f"{label} are given for field {field!r}; the samples have {sorted(file)}")
    columns = 1 if file[field].ndim == 1 else file[field].shape[1]
    if len(values) != columns:
        raise ValueError(f"{label} of {field} has {len(values)} entries; the field has {columns} channels")
    _set(file[field], label, list(values))


def _set(place: h5py.File | h5py.Dataset, name: str, value: Any) -> None:
    """An attribute; texts of fixed length, as HDF5 keeps others in a heap without a checksum, and may hang on it."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, (list, tuple)) and texts and all(isinstance(text, str) for text in texts):
        found = _text(texts, max(1, *(len(text.encode()) for text in texts)))
        value = found[0] if isinstance(value, str) else found
    place.attrs[name] = value


def _text(texts: Sequence[str], length: int) -> np.ndarray:
    return np.asarray([text.encode() for text in texts], h5py.string_dtype("utf-8", length))
