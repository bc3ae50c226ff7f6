"""Peak memory belongs to its own stretch."""

from __future__ import annotations

import sys

import pytest
import torch

from pyg_neuralops.engine import peak_memory, reset_peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets a process's peak")
def test_peak_counts_what_was_allocated_since_the_reset():
    block = torch.ones(32 << 20)  # 128 MiB
    held = peak_memory()
    del block
    reset_peak_memory()
    assert held - peak_memory() > 100 << 20
