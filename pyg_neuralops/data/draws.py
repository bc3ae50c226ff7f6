"""Random numbers that depend on what they are drawn for alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_draws(*numbers: int, accelerators: bool = True) -> None:
    """Seed the global generators of torch, Python and NumPy, from which models and transforms draw."""
    # Hashed, because neighbouring seeds and epochs must not give related numbers.
    found = np.random.SeedSequence(numbers).generate_state(2, np.uint64)
    (torch.manual_seed if accelerators else torch.default_generator.manual_seed)(int(found[0] >> 1))
    random.seed(int(found[1]))
    np.random.seed(int(found[1]) % 2**32)  # noqa: NPY002  (what others' transforms draw from)


@contextmanager
def draws_of_its_own(accelerators: bool = True) -> Iterator[None]:
    """Leave the global generators as they were, errors included."""
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = torch.cuda.get_rng_state_all() if accelerators and torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])  # noqa: NPY002
        for device, state in enumerate(devices):
            torch.cuda.set_rng_state(state, device)


@contextmanager
def draws_of(*numbers: int) -> Iterator[None]:
    """Within this the CPU's generators are seeded by these numbers; then they are as they were."""
    with draws_of_its_own(accelerators=False):
        seed_draws(*numbers, accelerators=False)
        yield
