"""Patches that follow the physics: the same points, Euclidean patches beside upwind ones, drawn over the wind.

python examples/patches_that_follow_the_wind.py
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from pyg_neuralops.data import MeshData
from pyg_neuralops.models import build_model
from pyg_neuralops.plotting import plot_patch
from pyg_neuralops.transforms import KNNPatches, Upwind


def swirl(num_points: int, seed: int = 0) -> MeshData:
    """Random points in the unit square in a wind that turns: a uniform stream plus a vortex, free of divergence."""
    pos = torch.rand(num_points, 2, generator=torch.Generator().manual_seed(seed))
    x, y = (pos - 0.5).unbind(1)
    vortex = 3 * torch.exp(-8 * (x**2 + y**2))
    return MeshData(pos=pos, x=torch.ones(num_points, 1), wind=torch.stack([1 - vortex * y, vortex * x], 1))


def main(out: str = "runs/upwind_patches.png", num_points: int = 1500, k: int = 32) -> MeshData:
    """Draw both kinds of patches at five points; returns the sample with upwind patches."""
    data = swirl(num_points)
    targets = torch.tensor([[0.85, 0.5], [0.5, 0.8], [0.5, 0.2], [0.2, 0.6], [0.62, 0.5]])
    centres = torch.cdist(targets, data.pos).argmin(1).tolist()
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    for ax, metric in zip(figure.subplots(1, 2), (None, Upwind("wind", stretch=6)), strict=True):
        prepared = KNNPatches(k, metric=metric)(data)
        plot_patch(ax, prepared, centres, wind=data.wind, title="Euclidean" if metric is None else repr(metric))
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)

    # Any model with patches takes the metric by its name, and reads the field from the sample.
    model = build_model(
        "la2former", in_channels=1, out_channels=1, patches=KNNPatches(k, metric=Upwind("wind", stretch=6))
    )
    model(data)
    return prepared


if __name__ == "__main__":
    main()
    print("drawn in runs/upwind_patches.png")
