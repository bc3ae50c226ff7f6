"""``Ranks``: the processes that train one model together; a single one is the simplest case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

from ..executors.errors import portable

T = TypeVar("T")


class Ranks:
    """All processes of a Fabric that has been launched.

    Attributes:
        rank, size: the number of this process, and how many there are.
    """

    def __init__(self, fabric: Fabric):
        self.fabric, self.rank, self.size = fabric, fabric.global_rank, fabric.world_size

    def together(self, do: Callable[[], T]) -> T:
        """``do()`` on every rank; where one of them fails, all raise the first one's error."""
        if self.size == 1:
            return do()
        found, error = _tried(do)
        for rank, other in enumerate(self.gather(error and portable(error))):
            if other is not None:
                raise (other if rank == self.rank else portable(other, f"rank {rank}")) from error
        return found  # type: ignore[return-value]

    def gather(self, value: Any) -> list[Any]:
        """The value of every rank."""
        found: list[Any] = [value] * self.size
        if self.size > 1:
            torch.distributed.all_gather_object(found, value)
        return found

    def lead(self, do: Callable[[], T]) -> T:
        """``do()`` on every rank, on rank 0 before the others: what it makes on disk, they find."""
        found: list[T] = []
        self.first(lambda: found.append(do()))
        return self.together(lambda: found[0] if found else do())

    def first(self, do: Callable[[], T]) -> T:
        """``do()`` on rank 0; all ranks get what it returns, or raise its error."""
        if self.size == 1:
            return do()
        found, error = _tried(do) if self.rank == 0 else (None, None)
        found, failed = self.fabric.broadcast((found, error and portable(error)))
        if failed is not None:
            raise failed from error
        return found  # type: ignore[return-value]

    def copy(self, tensors: Iterable[Tensor]) -> None:
        """Give all ranks the values of rank 0."""
        if self.size > 1:
            for tensor in tensors:
                kept = tensor.contiguous()
                torch.distributed.broadcast(kept, src=0)
                tensor.copy_(kept)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over the ranks, in one message."""
        if self.size == 1 or not tensors:
            return
        real = [torch.view_as_real(tensor) if tensor.is_complex() else tensor for tensor in tensors]
        flat = torch.cat([tensor.reshape(-1) for tensor in real])
        torch.distributed.all_reduce(flat)
        for tensor, part in zip(real, flat.split([tensor.numel() for tensor in real]), strict=True):
            tensor.copy_(part.view_as(tensor))


def _tried(do: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return do(), None
    except Exception as error:  # noqa: BLE001  (raised again on all ranks)
        return None, error
