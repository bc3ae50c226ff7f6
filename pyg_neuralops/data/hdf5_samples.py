"""``HDF5Samples``: a mesh file as a sequence that reads each sample when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import overload

import numpy as np
from torch import Tensor

from .check import check_sample
from .hdf5 import SampleReader
from .hdf5_layout import open_hdf5
from .mesh_data import MeshData


class HDF5Samples(Sequence[MeshData]):
    """Samples of a mesh file, checked as they are read; nothing is kept in memory.

    Every process opens the file for itself, so that a loader's workers can share the object.

    Args:
        path: the file. rows: the samples to take; all when None.

    Raises:
        FileNotFoundError, ValueError: as :func:`open_hdf5`; on reading, if a sample is wrong.
        IndexError: for a sample that is not there.
        TypeError: for a list of something else than numbers, such as flags.
    """

    def __init__(self, path: str | os.PathLike[str], rows: Sequence[int] | None = None):
        self.path = os.fspath(path)
        self._reader: SampleReader | None = None
        self._owner = -1
        self.rows = range(len(self._open().sizes)) if rows is None else rows

    def _open(self) -> SampleReader:
        if self._reader is None or self._owner != os.getpid():
            self._reader, self._owner = SampleReader(open_hdf5(self.path)), os.getpid()
        return self._reader

    def node_counts(self) -> list[int]:
        """Nodes of every sample, without reading it."""
        sizes = self._open().sizes
        return [sizes[row] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> MeshData: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray | Tensor) -> HDF5Samples: ...
    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray | Tensor) -> MeshData | HDF5Samples:
        """A sample; for a slice or a list of numbers these samples, again read when they are asked for."""
        if isinstance(index, slice):
            return HDF5Samples(self.path, self.rows[index])
        if isinstance(index, (Sequence, np.ndarray, Tensor)):
            numbers = index.tolist() if isinstance(index, (np.ndarray, Tensor)) else list(index)
            if not all(type(number) is int for number in numbers):
                raise TypeError(f"samples are taken by their numbers; found {numbers[:3]}")
            return HDF5Samples(self.path, [self.rows[number] for number in numbers])
        sample = self.unchecked(index)
        try:
            check_sample(sample)
        except ValueError as error:
            raise ValueError(f"{self.path}, sample {self.rows[index]}: {error}") from None
        return sample

    def unchecked(self, index: int) -> MeshData:
        """A sample for who checks it anyway.

        Raises:
            ValueError: if it cannot be read.
        """
        row = self.rows[index]
        try:
            return self._open().read(row)
        except ValueError as error:
            raise ValueError(f"{self.path}, sample {row}: {error}") from None

    def __getstate__(self) -> dict:
        return {**vars(self), "_reader": None}
