"""A tiny problem and a tiny model for the engine's tests, importable from subprocesses too."""

from __future__ import annotations

import torch
from torch import nn

from pyg_neuralops.data import MeshData, mesh_loader
from pyg_neuralops.models import NeuralOperator
from pyg_neuralops.normalize import normalized


class Toy(NeuralOperator):
    """A pointwise network with dropout, so that a run depends on what is drawn during training."""

    def __init__(self, in_channels: int, out_channels: int, pos_dim: int = 2, hidden_channels: int = 16):
        super().__init__()
        self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, pos_dim
        self.hidden_channels = hidden_channels
        self.net = nn.Sequential(
            nn.Linear(in_channels + pos_dim, hidden_channels),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(hidden_channels, out_channels),
        )

    def core(self, x, mesh):
        return self.net(torch.cat([x, mesh.coords], 1))


def toy_samples(count: int, seed: int = 0) -> list[MeshData]:
    """Meshes of 5 to 14 points; y is a smooth function of x and position."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for _ in range(count):
        nodes = int(torch.randint(5, 15, (1,), generator=generator))
        pos, x = torch.rand(nodes, 2, generator=generator), torch.rand(nodes, 1, generator=generator)
        samples.append(MeshData(x=x, pos=pos, y=2 + x * pos[:, :1] + (3 * pos[:, 1:]).sin()))
    return samples


def toy_run(count: int = 24, seed: int = 0, **loader):
    """(model, train loader, val loader), the model wrapped and seeded."""
    train, val = toy_samples(count, 1), toy_samples(8, 2)
    torch.manual_seed(seed)
    model = normalized(Toy(1, 1), train)
    options = {"batch_size": 4, "shuffle": True, "seed": seed} | loader
    return model, mesh_loader(train, **options), mesh_loader(val, 4)
