"""``PatchCache``: patches of geometries seen lately, so that samples on one mesh share them."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor

Patches = dict[str, Tensor | str | list[str]]


class PatchCache:
    """Patches by the geometry that they were built from, the least recently used dropped first.

    Samples of a grid set all lie on the same nodes: their patches are built once and held once. What is stored is
    handed out itself, not a copy, and must not be changed in place. A copy in another process starts empty.

    Args:
        max_mib: most memory held; 0 keeps nothing.

    Raises:
        ValueError: if max_mib is negative.
    """

    # No __dict__: what the cache holds is no parameter of the transform that has it.
    __slots__ = ("held", "max_mib", "total")

    def __init__(self, max_mib: float):
        if max_mib < 0:
            raise ValueError(f"cache_mib={max_mib}; it must be at least 0")
        self.max_mib = max_mib
        self.total = 0
        self.held: OrderedDict[str, tuple[int, Patches]] = OrderedDict()

    def get(self, key: str) -> Patches | None:
        if key not in self.held:
            return None
        self.held.move_to_end(key)
        return self.held[key][1]

    def put(self, key: str, patches: Patches) -> None:
        size = sum(value.nbytes for value in patches.values() if isinstance(value, Tensor))
        if size > self.max_mib * 2**20:
            return
        self.held[key] = (size, patches)
        self.total += size
        while self.total > self.max_mib * 2**20:
            self.total -= self.held.popitem(last=False)[1][0]

    def __reduce__(self) -> tuple:
        return PatchCache, (self.max_mib,)

    def __repr__(self) -> str:
        return f"PatchCache({self.max_mib:g} MiB)"
