"""What an HDF5 file from elsewhere must not do: read other files, or unpack to more than there is room for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import h5py

RATIO, ALWAYS = 2000, 2**26
"""Most bytes a stored byte may unpack to (gzip reaches 1030), and bytes that are always allowed."""


def refuse_external(place: h5py.Group) -> None:
    """Look through an open file or a group, without reading values.

    Raises:
        ValueError: naming the first object that lies in another file (external link, external storage, virtual
            dataset), leads nowhere, or declares more than :data:`RATIO` times the bytes that it is stored in.
    """
    for name, data in _datasets(place, set()):
        if data.is_virtual or data.external:
            raise ValueError(f"{name} keeps its values in another file (virtual dataset or external storage)")
        size, stored = declared_bytes(data), data.id.get_storage_size()
        if size > RATIO * stored + ALWAYS:
            raise ValueError(f"{name} declares {size:,} bytes, of which {stored:,} are stored; it is damaged or a trap")


def refuse_too_large(name: str, size: int) -> None:
    """Raise a ValueError if ``size`` bytes of ``name`` are more than this machine's memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if os.name == "posix" else 2**63
    if size > memory:
        raise ValueError(f"{name} declares {size:,} bytes; this machine has {memory:,}")


def declared_bytes(data: h5py.Dataset) -> int:
    """Bytes of all values, where h5py's own product might overflow."""
    size = data.dtype.itemsize
    for extent in data.shape or ():
        size *= int(extent)
    return size


def _datasets(group: h5py.Group, met: set[int]) -> Iterator[tuple[str, h5py.Dataset]]:
    for key in group:
        link = group.get(key, getlink=True)
        name = f"{group.name.rstrip('/')}/{key}"
        if not isinstance(link, h5py.HardLink):
            where = f"{link.filename}:{link.path}" if isinstance(link, h5py.ExternalLink) else link.path
            raise ValueError(f"{name} is a link to {where}; values must lie in the file itself")
        found = group[key]
        address = h5py.h5o.get_info(found.id).addr
        if address in met:  # groups may hold one another
            continue
        met.add(address)
        if isinstance(found, h5py.Group):
            yield from _datasets(found, met)
        elif isinstance(found, h5py.Dataset):
            yield name, found
