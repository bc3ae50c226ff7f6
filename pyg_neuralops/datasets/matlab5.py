"""Numeric arrays of MATLAB 5 files (``save -v6`` and ``-v7``), every size checked before it is used.

SciPy's reader ends the process on some damaged files, as it trusts the types and sizes that stand in them. The format
is in "MAT-File Format", The MathWorks: a header of 128 bytes, then elements of a type, a size and so many bytes; an
array is an element (perhaps compressed) that holds elements: flags, dimensions, name, values.
"""

from __future__ import annotations

import itertools
import math
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

HEADER, MATRIX, COMPRESSED = 128, 14, 15
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
OTHERS = {1: "cells", 2: "a structure", 3: "an object", 4: "text", 5: "a sparse matrix"}
COMPLEX, HEAD = 0x800, 4096
"""Flag of complex values; bytes in which flags, dimensions and name of an array have room."""


class Variable(NamedTuple):
    """An array: its name, shape, NumPy type (or what else it holds), and where its element lies in the file."""

    name: str
    shape: tuple[int, ...]
    kind: str
    place: int
    size: int
    packed: bool


def variables(path: Path) -> dict[str, Variable]:
    """The arrays of a file by name.

    Raises:
        ValueError: if the file is damaged, or no MATLAB 5 file.
    """
    with open(path, "rb") as file:
        return {found.name: found for found in _variables(file, _order(file))}


def read(path: Path, variable: Variable) -> np.ndarray:
    """The values of a real numeric array, axes in MATLAB's order.

    Raises:
        ValueError: if they are damaged.
    """
    count = math.prod(variable.shape)
    with open(path, "rb") as file:
        order = _order(file)
        file.seek(variable.place)
        content = file.read(variable.size)
    if variable.packed:
        content = _unpacked(content, HEAD + 8 * count)
    kind, values = list(itertools.islice(_parts(content, order), 4))[-1]
    if kind not in TYPES:
        raise ValueError(f"values of type {kind}; expected one of {sorted(TYPES)}")
    if len(values) != count * np.dtype(TYPES[kind]).itemsize:
        raise ValueError(f"{len(values)} bytes of {TYPES[kind]}; the shape {list(variable.shape)} needs other ones")
    found = np.frombuffer(values, order + TYPES[kind])
    return found.astype(variable.kind).reshape(variable.shape, order="F")


def _order(file: BinaryIO) -> str:
    """The byte order, "<" or ">", from the header; the file is then at its first element."""
    head = file.read(HEADER)
    order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(head[124:])
    if order is None:
        raise ValueError("no header of MATLAB 5")
    return order


def _variables(file: BinaryIO, order: str) -> Iterator[Variable]:
    end = file.seek(0, 2)
    place = HEADER
    while place < end:
        file.seek(place)
        tag = file.read(8)
        if len(tag) < 8:
            raise ValueError(f"the file ends at {end}, within the head of an array")
        kind, size = struct.unpack(order + "II", tag)
        place += 8
        if kind not in (MATRIX, COMPRESSED) or size > end - place:
            raise ValueError(f"at {place - 8}: type {kind} with {size} bytes, of {end - place} that there are")
        content = file.read(min(size, HEAD)) if kind == MATRIX else _head(file.read(size), order)
        found = _describe(content, order, place, size, kind == COMPRESSED)
        if found is not None:
            yield found
        place += size


def _describe(content: bytes, order: str, place: int, size: int, packed: bool) -> Variable | None:
    """What the head of an array says; None for what MATLAB keeps to itself, which has no name."""
    parts = list(itertools.islice(_parts(content, order), 3))
    if len(parts) < 3 or len(parts[0][1]) != 8 or parts[0][0] != 6:
        raise ValueError(f"at {place}: no flags of an array")
    flags = struct.unpack(order + "II", parts[0][1])[0]
    if flags & 0xFF not in (*CLASSES, *OTHERS):
        return None
    if parts[1][0] != 5 or len(parts[1][1]) % 4 or len(parts[1][1]) < 8:
        raise ValueError(f"at {place}: no dimensions of an array")
    shape = tuple(np.frombuffer(parts[1][1], order + "i4").tolist())
    if min(shape) < 0 or math.prod(shape) > sys.maxsize // 8:
        raise ValueError(f"at {place}: an array of shape {list(shape)}")
    kind = "complex numbers" if flags & COMPLEX else CLASSES.get(flags & 0xFF, OTHERS.get(flags & 0xFF, ""))
    return Variable(parts[2][1].decode("latin-1"), shape, kind, place, size, packed)


def _parts(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of the elements inside an array."""
    place = 0
    while place < len(content):
        if place + 8 > len(content):
            raise ValueError(f"an array ends after {len(content)} bytes, within an element")
        kind, size = struct.unpack_from(order + "II", content, place)
        if kind >> 16:  # a small one: size, type and four bytes
            kind, size, start, step = kind & 0xFFFF, kind >> 16, place + 4, 8
        else:
            start, step = place + 8, 8 + size + -size % 8
        if size > len(content) - start or (step == 8 and size > 4):
            raise ValueError(f"an element of {size} bytes in an array that ends after {len(content)}")
        yield kind, content[start : start + size]
        place += step


def _head(packed: bytes, order: str) -> bytes:
    """The first bytes of a compressed array, after its type and size."""
    content = zlib.decompressobj().decompress(packed, HEAD)
    if len(content) < 8 or struct.unpack_from(order + "I", content)[0] != MATRIX:
        raise ValueError("a compressed element that is no array")
    return content[8:]


def _unpacked(packed: bytes, most: int) -> bytes:
    """A compressed array, whole and with the right checksum, after its type and size.

    Raises:
        ValueError: if it has more than ``most`` bytes, or ends early.
    """
    stream = zlib.decompressobj()
    content = stream.decompress(packed, most)
    if not stream.eof:
        raise ValueError(f"a compressed array that is cut off, or longer than {most} bytes")
    return content[8:]
