"""Numeric arrays of MATLAB files, of format 5 and of format 7.3."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

DAMAGED = (MatReadError, OSError, ValueError, TypeError, EOFError, IndexError, KeyError, zlib.error, struct.error)
"""What the readers raise on truncated or foreign files."""


def matlab_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every variable, axes in MATLAB's order.

    Raises:
        ValueError: if the file is truncated or no MATLAB file.
    """
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return {name: data.shape[::-1] for name, data in file.items() if isinstance(data, h5py.Dataset)}
        return {name: tuple(shape) for name, shape, _ in whosmat(path)}
    except DAMAGED as error:
        raise ValueError(f"{path} is not a readable MATLAB file (truncated or foreign): {error}") from None


def read_matlab(path: Path, name: str, index: tuple[slice, ...] = ()) -> np.ndarray:
    """A part of a variable, axes in MATLAB's order; nothing but numbers is accepted.

    Of format 7.3 only the part is read; format 5 has to be read whole.

    Args:
        path: the file.
        name: the variable.
        index: one slice for each of the leading axes.

    Raises:
        ValueError: if the file is damaged or foreign, or has no such variable of real numbers.
    """
    shapes = matlab_shapes(path)
    if name not in shapes:
        raise ValueError(f"{path} has no variable {name!r}; it has {sorted(shapes)}")
    try:
        if h5py.is_hdf5(path):  # axes are stored in reverse
            with h5py.File(path, "r") as file:
                whole = (*index, *(slice(None) for _ in range(len(shapes[name]) - len(index))))
                values = file[name][whole[::-1]].T
        else:
            values = loadmat(path, variable_names=[name])[name][index].copy()
    except DAMAGED as error:
        raise ValueError(f"{path}: {name} cannot be read (truncated or foreign): {error}") from None
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{path}: {name} holds {values.dtype}; real numbers are expected")
    return values
