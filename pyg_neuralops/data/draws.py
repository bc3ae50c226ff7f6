"""``draws_of``: random numbers that depend on what they are drawn for alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def draws_of(*entropy: int) -> Iterator[None]:
    """Seed the CPU's global generators of torch, Python and NumPy, and leave them as they were."""
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    # Hashed, because neighbouring seeds and epochs must not give related numbers.
    found = np.random.SeedSequence(entropy).generate_state(2, np.uint64)
    torch.default_generator.manual_seed(int(found[0] >> 1))
    random.seed(int(found[1]))
    np.random.seed(int(found[1]) % 2**32)  # noqa: NPY002  (what others' transforms draw from)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])  # noqa: NPY002
