"""``StoredSamples``: samples that stay on disk until they are asked for, and tell of themselves without being read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, overload, runtime_checkable

from .mesh_data import MeshData


class StoredSamples(Sequence[MeshData], ABC):
    """Samples that were checked as a whole before, are alike in fields and channels, and are read one at a time.

    Reading the same one again gives equal values, and draws nothing at random. A slice is again stored samples.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, index: int) -> MeshData: ...
    @overload
    def __getitem__(self, index: slice) -> StoredSamples: ...
    @abstractmethod
    def __getitem__(self, index: int | slice) -> MeshData | StoredSamples: ...

    @abstractmethod
    def content_digest(self) -> str:
        """A text that changes with the samples, without reading them."""

    @abstractmethod
    def node_counts(self) -> list[int]:
        """Nodes of every sample, without reading them."""


@runtime_checkable
class _Digested(Protocol):
    def content_digest(self) -> str | None: ...


@runtime_checkable
class _Counted(Protocol):
    def node_counts(self) -> list[int] | None: ...


@runtime_checkable
class _Steady(Protocol):
    def draws_nothing(self) -> bool: ...


def draws_nothing(samples: Any) -> bool:
    """Whether taking a sample cannot draw at random: lists hand out what they hold, others may have transforms."""
    if isinstance(samples, (list, tuple, StoredSamples)):
        return True
    return isinstance(samples, _Steady) and samples.draws_nothing()


def content_digest_of(samples: Any) -> str | None:
    """What samples say of their own content by a method ``content_digest()``; None where they have to be read."""
    return samples.content_digest() if isinstance(samples, _Digested) else None


def node_counts(samples: Any) -> list[int] | None:
    """What samples say of their sizes by a method ``node_counts()``; None where they have to be read."""
    return samples.node_counts() if isinstance(samples, _Counted) else None
