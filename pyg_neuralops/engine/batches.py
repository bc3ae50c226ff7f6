"""``Batches``: what each rank computes of every batch, fixed by (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, DistributedSampler
from torch_geometric.data import Data

from ..data.draws import seed_draws
from .ranks import Ranks


class Batches:
    """The batches of a loader, each cut into ``ranks.size`` times ``parts`` pieces, and of these a rank's own.

    A batch is a list of sample numbers, so that ranks need not tell each other anything.

    Raises:
        ValueError: for a loader that does not batch samples by their numbers.
    """

    def __init__(self, loader: DataLoader, ranks: Ranks, parts: int = 1):
        if loader.batch_sampler is None:
            raise ValueError(f"a loader of {type(loader.dataset).__name__} makes no batches; give it a batch_size")
        self.sampler, self.ranks, self.parts = loader.batch_sampler, ranks, parts
        self.orders = loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None)
        if any(isinstance(order, DistributedSampler) for order in self.orders):
            raise ValueError(
                "the loader has a DistributedSampler; batches are shared among ranks here, so leave it out"
            )
        self.pieces: list[list[int]] = []
        workers = loader.num_workers
        self.loader: DataLoader = DataLoader(
            loader.dataset,
            batch_sampler=self.pieces,
            collate_fn=loader.collate_fn,
            num_workers=workers,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context if workers else None,
            prefetch_factor=loader.prefetch_factor if workers else None,
        )

    def epoch(self, seed: int, epoch: int) -> tuple[int, Iterator[Iterator[Data]]]:
        """Number of batches of an epoch, and each as an iterator of this rank's pieces, of which there may be none.

        Seeds the order of the samples, and all that is drawn at random until the next call, by (seed, epoch), so that
        a run that was killed and started again sees what it would have seen.
        """
        seed_draws(seed, epoch)
        for order in self.orders:
            set_epoch, generator = getattr(order, "set_epoch", None), getattr(order, "generator", None)
            if callable(set_epoch):
                set_epoch(epoch)
            if isinstance(generator, torch.Generator):
                generator.manual_seed(torch.initial_seed())
        batches = self.ranks.first(self._lists)
        if not batches:
            raise ValueError("the training loader makes no batch (drop_last, or an empty sampler?)")
        if self.ranks.rank:  # the order is that of all ranks, what models draw is not
            seed_draws(seed, epoch, self.ranks.rank)
        count = self.ranks.size * self.parts
        first = self.ranks.rank * self.parts
        mine = [
            [
                batch[len(batch) * piece // count : len(batch) * (piece + 1) // count]
                for piece in range(first, first + self.parts)
            ]
            for batch in batches
        ]
        mine = [[piece for piece in pieces if piece] for pieces in mine]
        self.pieces[:] = [piece for pieces in mine for piece in pieces]
        return len(batches), self._grouped([len(pieces) for pieces in mine])

    def _lists(self) -> list[list[int]]:
        return [list(batch) for batch in self.sampler]

    def _grouped(self, counts: list[int]) -> Iterator[Iterator[Data]]:
        loaded = iter(self.loader)
        for count in counts:
            yield (next(loaded) for _ in range(count))

    def shared_out(self) -> tuple[list[int], Iterator[tuple[int, Data]]]:
        """Sizes of all batches, whole ones, and those of this rank with their numbers: one after the other in turn."""
        batches = self.ranks.first(self._lists)
        numbers = range(self.ranks.rank, len(batches), self.ranks.size)
        self.pieces[:] = [batches[number] for number in numbers]
        return [len(batch) for batch in batches], zip(numbers, self.loader, strict=True)
