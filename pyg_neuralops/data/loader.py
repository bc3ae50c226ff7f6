"""Batches of ragged meshes, cut by a number of samples or by a budget of nodes, seeded by (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torch_geometric.data import Batch, Data

from .check import as_mesh_data, check_alike
from .convert import converted
from .draws import draws_of
from .mesh_data import MeshData, with_equal_cells
from .stored import draws_nothing, node_counts


class EpochOrder(Sampler[int]):
    """A permutation that depends on (seed, epoch) alone, so that a resumed run sees the same batches."""

    def __init__(self, num_samples: int, shuffle: bool, seed: int):
        self.num_samples, self.shuffle, self.seed, self.epoch = num_samples, shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        if not self.shuffle:
            return iter(range(self.num_samples))
        # Hashed, because neighbouring seeds and epochs must not give related orders.
        state = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint32)
        generator = torch.Generator().manual_seed(int(state[0]))
        return iter(torch.randperm(self.num_samples, generator=generator).tolist())


class MeshBatchSampler(Sampler[list[int]]):
    """Cuts an order of samples into batches of at most ``batch_size`` samples and ``max_nodes`` nodes.

    A sample larger than ``max_nodes`` makes a batch of its own. The epoch comes through
    ``sampler.set_epoch``, which is where Lightning sets it.

    Raises:
        ValueError: if ``batch_size`` or ``max_nodes`` is not positive.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        batch_size: int,
        max_nodes: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}; it must be at least 1")
        if max_nodes is not None and max_nodes < 1:
            raise ValueError(f"max_nodes={max_nodes}; it must be at least 1, or None for no budget")
        self.sizes, self.batch_size, self.max_nodes = list(sizes), batch_size, max_nodes
        self.sampler = EpochOrder(len(self.sizes), shuffle, seed)

    def __iter__(self) -> Iterator[list[int]]:
        members: list[int] = []
        nodes = 0
        for index in self.sampler:
            over = self.max_nodes is not None and nodes + self.sizes[index] > self.max_nodes
            if members and (over or len(members) == self.batch_size):
                yield members
                members, nodes = [], 0
            members.append(index)
            nodes += self.sizes[index]
        if members:
            yield members

    def __len__(self) -> int:
        """Batches of the present epoch; with ``max_nodes`` it may differ from epoch to epoch."""
        return sum(1 for _ in self)


def mesh_loader(
    samples: Sequence[Data],
    batch_size: int = 8,
    *,
    max_nodes: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader:
    """A loader of PyG batches (:func:`collate`) over samples, prepared or not.

    The batches do not depend on ``num_workers``: what a dataset of random transforms draws when it is asked for a
    sample depends on (seed, epoch, sample) alone, as the order does on (seed, epoch); ``loader.batch_sampler.sampler``
    is told the epoch (``set_epoch``), which :func:`pyg_neuralops.engine.fit` does.

    Args:
        samples: a list of samples or a dataset; where ``max_nodes`` is given every one is looked at once for its size,
            unless ``samples.node_counts()`` tells them (:class:`.stored.StoredSamples`).
        batch_size: most samples in a batch.
        max_nodes: most nodes in a batch, so that memory is bounded when mesh sizes differ.
        shuffle, seed: the order, which depends on (seed, epoch) alone.
        num_workers: loading processes; 0 loads in this one.
        pin_memory: whether batches lie in page-locked memory, from which they reach a GPU faster.

    Raises:
        ValueError: if there is no sample, or a limit is not positive.
    """
    if len(samples) == 0:
        raise ValueError("there is no sample to load; at least one is needed")
    if num_workers < 0:
        raise ValueError(f"num_workers={num_workers}; it must be at least 0")
    sizes = [1] * len(samples) if max_nodes is None else _node_counts(samples)
    sampler = MeshBatchSampler(sizes, batch_size, max_nodes, shuffle, seed)
    return DataLoader(
        Door(samples, sampler.sampler),
        batch_sampler=sampler,
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
    )


def _node_counts(samples: Sequence[Data]) -> list[int]:
    known = node_counts(samples)
    return [int(sample.num_nodes or 0) for sample in samples] if known is None else known


class Door(Dataset[MeshData]):
    """Samples that pass :func:`as_mesh_data` when they are first taken, and must be alike to the first of them.

    Args:
        samples: a list of samples or a dataset.
        order: whose seed and epoch decide what is drawn when a sample is taken; None leaves that to the caller.

    Raises:
        ValueError: on taking a sample, naming its number and the field that is wrong.
    """

    def __init__(self, samples: Sequence[Data], order: EpochOrder | None = None):
        self.samples = samples
        self.order = None if draws_nothing(samples) else order
        self.passed: set[int] = set()
        self.first: MeshData | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> MeshData:
        # Workers are started anew for every epoch, with the order as it is then.
        with nullcontext() if self.order is None else draws_of(self.order.seed, self.order.epoch, index):
            sample = self.samples[index]
        if index in self.passed:
            return converted(sample)
        try:
            data = as_mesh_data(sample)
            if self.first is not None:
                check_alike(data, self.first)
        except ValueError as error:
            raise ValueError(f"sample {index}: {error}") from None
        self.first = data if self.first is None else self.first
        self.passed.add(index)
        return data


def collate(samples: Sequence[MeshData]) -> MeshData:
    """One batch of samples, which may have different types of cells.

    Raises:
        ValueError: naming a field that only some of the samples have.
    """
    meshes = with_equal_cells(samples)
    fields = [set(mesh.keys()) for mesh in meshes]
    partial = set.union(*fields) - set.intersection(*fields)
    if partial:
        raise ValueError(f"{sorted(partial)} are in some samples of a batch only; all or none must have them")
    return Batch.from_data_list(meshes)
