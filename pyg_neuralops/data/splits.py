"""Splits of a set into train, val and test, by name."""

from __future__ import annotations

import torch

PROTOCOLS = ("standard", "paper")


def split_indices(
    num_samples: int, seed: int = 0, protocol: str = "standard", val: float = 0.1, test: float = 0.2
) -> dict[str, list[int]]:
    """A random split, fixed by ``seed``.

    Protocol "standard" selects on ``val`` and reads ``test`` once; "paper" has no val: its samples join
    ``train`` and the last epoch is reported (the test samples are the same under both).

    Raises:
        ValueError: for an unknown protocol, or too few samples for one in every split.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol={protocol!r}; choose from {list(PROTOCOLS)}")
    num_test, num_val = max(1, round(test * num_samples)), max(1, round(val * num_samples))
    if num_samples - num_test - num_val < 1:
        raise ValueError(f"{num_samples} samples are too few to split; at least 3 are needed")
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed)).tolist()
    parts = {
        "train": order[num_test + num_val :],
        "val": order[num_test : num_test + num_val],
        "test": order[:num_test],
    }
    if protocol == "paper":
        parts["train"] += parts.pop("val")
    return {name: sorted(indices) for name, indices in parts.items()}
