"""``EpochBatches``: training batches that are fixed by (seed, epoch)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch_geometric.data import Data


class EpochBatches:
    """A loader whose every pass, with all that is drawn at random during it, depends on (seed, epoch) alone.

    It seeds the order of the samples and the random generators (dropout, random transforms) at the start of each
    pass, so that a run that was killed and started again sees what it would have seen. It has no length:
    Lightning would take the first epoch's for all, and with a node budget epochs differ.

    Attributes:
        num_batches: number of batches of the present pass.
        sampler: itself; Lightning announces the epoch through ``loader.sampler.set_epoch``.
    """

    def __init__(self, loader: DataLoader, seed: int):
        self.loader, self.seed = loader, seed
        self.epoch = 0
        self.num_batches = 1

    @property
    def sampler(self) -> EpochBatches:
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Data]:
        batch_sampler = getattr(self.loader, "batch_sampler", None)
        for source in (getattr(self.loader, "sampler", None), getattr(batch_sampler, "sampler", None)):
            set_epoch = getattr(source, "set_epoch", None)
            if callable(set_epoch):
                set_epoch(self.epoch)
        seed_draws(self.seed, self.epoch)
        self.num_batches = len(self.loader)
        yield from self.loader


def seed_draws(seed: int, epoch: int) -> None:
    """Seed the global generators of torch, Python and NumPy, from which models and transforms draw."""
    # Hashed, because neighbouring seeds and epochs must not give related numbers.
    state = np.random.SeedSequence([seed, epoch]).generate_state(2, np.uint64)
    torch.manual_seed(int(state[0] >> 1))
    random.seed(int(state[1]))
    np.random.seed(int(state[1]) % 2**32)  # noqa: NPY002  (what others' transforms draw from)


@contextmanager
def draws_of_its_own() -> Iterator[None]:
    """Leave the global generators as they were, errors included (Lightning's ``isolate_rng`` does not then)."""
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])  # noqa: NPY002
        for device, state in enumerate(devices):
            torch.cuda.set_rng_state(state, device)
