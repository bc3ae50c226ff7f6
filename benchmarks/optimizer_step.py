"""What an optimiser's step costs beside forward and backward, as ratios from interleaved runs.

Run: python benchmarks/optimizer_step.py [--rounds 7] [--threads 1]
writes benchmarks/results/optimizer_step.json. Irregular meshes of 400 points in batches of 4, as in ``make compare``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from timing import interleaved, show, table, write
from torch import nn
from torch_geometric.data import Batch

from pyg_neuralops.engine.optimizers import hidden_matrices, make_optimizer
from pyg_neuralops.models import build_model
from pyg_neuralops.testing import random_mesh

BASE = "forward and backward"
MODELS: dict[str, dict[str, Any]] = {
    "la2former": {"num_layers": 4},
    "lrsa": {"num_layers": 4},
    "transolver": {"num_layers": 4},
    "graph-sage": {"num_layers": 4},
    "mesh-graph-net": {"num_layers": 15},
}


def steps(name: str, options: dict[str, Any]) -> tuple[dict[str, Callable[[], Any]], dict[str, int]]:
    """Forward with backward, and one step of each optimiser on weights of its own."""
    torch.manual_seed(0)
    size = {"in_channels": 2, "out_channels": 1, "pos_dim": 2, "hidden_channels": 48, **options}
    model = build_model(name, **size)
    batch = Batch.from_data_list([model.prepare(random_mesh(400, seed=seed)) for seed in range(4)])

    def gradients() -> None:
        model.zero_grad()
        model(batch).square().mean().backward()

    gradients()
    counts = {"matrices": len(hidden_matrices(model)), "parameters": sum(p.numel() for p in model.parameters())}
    found: dict[str, Callable[[], Any]] = {BASE: gradients}
    for kind in ("adamw", "muon", "torch's muon"):
        other = build_model(name, **size)
        for one, two in zip(other.parameters(), model.parameters(), strict=True):
            one.grad = None if two.grad is None else two.grad.clone()
        found[kind] = _theirs(other) if kind == "torch's muon" else make_optimizer(other, kind, 1e-6, 0.0).step
    return found, counts


def _theirs(model: nn.Module) -> Callable[[], Any]:
    hidden = [weight for weight in hidden_matrices(model) if weight.grad is not None]
    names = {id(weight) for weight in hidden}
    muon = torch.optim.Muon(hidden, lr=1e-6, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    rest = torch.optim.AdamW([p for p in model.parameters() if id(p) not in names], lr=1e-6)
    return lambda: (muon.step(), rest.step())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = {}
    for name, options in MODELS.items():
        runs, counts = steps(name, options)
        rows = table(interleaved(runs, args.rounds), BASE)
        show(f"{name}, {counts['matrices']} hidden matrices", rows, BASE)
        found[name] = {**counts, "rows": rows}
    write("optimizer_step", {"models": found})


if __name__ == "__main__":
    main()
