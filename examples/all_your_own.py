"""Everything your own in one comparison: dataset, task, metric, model and patches join by "package.module:Name".

    cd examples && python all_your_own.py

Likewise from the command line, where the current folder is searched too:

    pyg-neuralops compare --dataset all_your_own:Bars --task all_your_own:Smooth --out runs/own-cli --epochs 30 \
        --models all_your_own:PointNet la2former --metrics relative_l2 all_your_own:hottest_point

What your code does is part of what a run is: after a change to this file its old results are refused, not returned.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch_geometric.data import Data, InMemoryDataset

from pyg_neuralops.engine import SteadyField
from pyg_neuralops.study import Comparison, compare
from pyg_neuralops.transforms import PatchMetric


class Bars(InMemoryDataset):
    """Bars, heated in a random place, and how much warmer they get than their ends.

    Any PyG dataset with ``split=`` is taken as it is; tables and figures call channels by its ``names``.
    """

    names: ClassVar = {"x": ["source"], "y": ["temperature"]}
    units: ClassVar = {"y": ["K"]}

    def __init__(self, root: str, split: str = "train", num_samples: int = 40):
        self.num_samples = num_samples
        super().__init__(root)
        self.load(self.processed_paths[("train", "val", "test").index(split)])

    @property
    def processed_file_names(self) -> list[str]:
        return [f"{split}{self.num_samples}.pt" for split in ("train", "val", "test")]

    def process(self) -> None:
        for number, path in enumerate(self.processed_paths):
            generator = torch.Generator().manual_seed(number)
            self.save([self.sample(generator) for _ in range(self.num_samples)], path)

    @staticmethod
    def sample(generator: torch.Generator) -> Data:
        pos = torch.rand(60, 1, generator=generator).sort(0).values
        centre, width = torch.rand(2, generator=generator) * torch.tensor([0.6, 0.2]) + torch.tensor([0.2, 0.05])
        source = torch.exp(-(((pos - centre) / width) ** 2))
        # -u'' = source, u = 0 at both ends: Green's function of the unit interval, summed over the points.
        near, far = torch.minimum(pos, pos.T), torch.maximum(pos, pos.T)
        spacing = torch.gradient(pos[:, 0])[0]
        return Data(pos=pos, x=source, y=100 * (near * (1 - far)) @ (source[:, 0] * spacing)[:, None])


class Smooth(SteadyField):
    """The usual errors, but trained on the mean square in kelvin."""

    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def loss(self, prediction: Tensor, item: Data) -> Tensor:
        return self.scale * (prediction - item.y).square().mean()


def hottest_point(prediction: Tensor, target: Tensor, batch: Tensor | None, weight: Tensor | None, num_samples: int):
    """By how many kelvin the hottest point of every sample is missed, ``[B]``."""
    rows = torch.zeros(len(target), dtype=torch.long, device=target.device) if batch is None else batch
    tops = [
        torch.full((num_samples,), -torch.inf).scatter_reduce(0, rows.cpu(), field[:, 0].cpu().float(), "amax")
        for field in (prediction, target)
    ]
    return (tops[0] - tops[1]).abs()


class Towards(PatchMetric):
    """Points on one side, towards an end of the bar, count as nearer than those on the other.

    Args:
        end: 1 for the right end, -1 for the left. factor: how much nearer, at least 1.
    """

    def __init__(self, end: int = 1, factor: float = 3.0):
        self.end, self.factor = end, factor

    def distance(self, data: Data, index: Tensor, offset: Tensor) -> Tensor:
        along = offset[..., 0] * self.end
        return torch.where(along > 0, along / self.factor, -along)

    def stretch(self, data: Data) -> Tensor:
        return torch.full((data.num_nodes,), self.factor, dtype=torch.float64)


class PointNet(nn.Module):
    """A network per point, with what all points of a sample have in common beside it."""

    def __init__(
        self, in_channels: int, out_channels: int, pos_dim: int, hidden_channels: int = 32, num_layers: int = 1
    ):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(in_channels + pos_dim, hidden_channels), nn.GELU())
        self.decoder = nn.Sequential(nn.Linear(2 * hidden_channels, hidden_channels), nn.GELU())
        self.head = nn.Linear(hidden_channels, out_channels)

    def forward(self, data: Data) -> Tensor:
        features = self.encoder(torch.cat([data.x, data.coords], 1))
        batch = torch.zeros(len(features), dtype=torch.long) if data.get("batch") is None else data.batch
        sums = features.new_zeros(int(batch[-1]) + 1, features.shape[1]).index_add(0, batch, features)
        means = sums / batch.bincount()[:, None]
        return self.head(self.decoder(torch.cat([features, means[batch]], 1)))


def main(root: str = "datasets/bars", out: str = "runs/own", num_samples: int = 40, epochs: int = 30) -> dict:
    """Compare the own model with LA2Former; returns the results."""
    patches = {"k": 8, "metric": {"name": "all_your_own:Towards", "end": -1}}
    results = compare(
        Comparison(
            dataset="all_your_own:Bars",
            dataset_args={"num_samples": num_samples},
            root=root,
            task="all_your_own:Smooth",
            task_args={"scale": 0.01},
            metrics=("relative_l2", "all_your_own:hottest_point"),
            models=("all_your_own:PointNet", "la2former"),
            overrides={"la2former": {"hidden_channels": 16, "num_layers": 1, "heads": 2, "patches": patches}},
            epochs=epochs,
            out=out,
        ),
        progress=False,
    )
    print(Path(out, "table.md").read_text())
    return results


if __name__ == "__main__":
    main()
