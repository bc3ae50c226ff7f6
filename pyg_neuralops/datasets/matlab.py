"""Numeric arrays of MATLAB files, of format 5 and of format 7.3."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ..data.hdf5_safety import refuse_external, refuse_too_large
from . import matlab5


@contextmanager
def _named(path: Path, what: str = "") -> Iterator[None]:
    """Turn what readers raise on damaged and foreign files into one error that names the file."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError, zlib.error) as error:
        raise ValueError(f"{path}{what} is not readable (damaged, truncated or foreign): {error}") from None


def matlab_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every variable, axes in MATLAB's order.

    Raises:
        ValueError: if the file is damaged, no MATLAB file, or keeps values in other files.
    """
    with _named(path):
        if not h5py.is_hdf5(path):
            return {name: variable.shape for name, variable in matlab5.variables(path).items()}
        with h5py.File(path, "r") as file:
            refuse_external(file)
            return {name: data.shape[::-1] for name, data in file.items() if isinstance(data, h5py.Dataset)}


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
    shape, whole = shapes[name], (*index, *(slice(None) for _ in range(len(shapes[name]) - len(index))))
    sizes = [len(range(*part.indices(extent))) for part, extent in zip(whole, shape, strict=True)]
    with _named(path, f": {name}"):
        if not h5py.is_hdf5(path):
            variable = matlab5.variables(path)[name]
            _numbers(variable.kind)
            refuse_too_large(name, 8 * math.prod(shape))
            return matlab5.read(path, variable)[index].copy()
        with h5py.File(path, "r") as file:  # axes are stored in reverse
            refuse_external(file)
            _numbers(file[name].dtype.str.lstrip("<>|="))
            refuse_too_large(name, file[name].dtype.itemsize * math.prod(sizes))
            return file[name][whole[::-1]].T


def _numbers(kind: str) -> None:
    if not (kind[:1] in "fiu" and kind[1:].isdigit()):
        raise ValueError(f"it holds {kind}; real numbers are expected")
