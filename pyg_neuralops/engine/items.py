"""``Items``: what a task makes of samples, made when it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from torch_geometric.data import Data

from ..data import content_digest_of, draws_nothing, node_counts


class Items(Sequence[Data]):
    """The items of all samples, those of one after the other; all of them at once would fill the memory.

    Args:
        samples: what the items are made of.
        each: number of items of every sample; one number where it is the same for all.
        make: a sample and the number of its item -> the item, with the nodes of the sample.
    """

    def __init__(self, samples: Sequence[Data], each: int | Sequence[int], make: Callable[[Data, int], Data]):
        self.samples, self.make = samples, make
        self.ends = list(accumulate([each] * len(samples) if isinstance(each, int) else each))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, index: Any) -> Any:
        """An item; a list of them for a slice."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        sample = bisect_right(self.ends, number)
        return self.make(self.samples[sample], number - (self.ends[sample - 1] if sample else 0))

    def content_digest(self) -> str | None:
        """That of the samples; what is made of them is the task's, which a run compares by itself."""
        return content_digest_of(self.samples)

    def node_counts(self) -> list[int] | None:
        known = node_counts(self.samples)
        if known is None:
            return None
        starts = [0, *self.ends[:-1]]
        return [nodes for nodes, a, b in zip(known, starts, self.ends, strict=True) for _ in range(a, b)]

    def draws_nothing(self) -> bool:
        return draws_nothing(self.samples)
