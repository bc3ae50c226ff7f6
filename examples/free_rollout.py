"""A model of one step of turbulence, run freely: how the error grows from frame to frame.

python examples/free_rollout.py
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from pyg_neuralops.checkpoint import load_model
from pyg_neuralops.data import mesh_loader
from pyg_neuralops.datasets import NavierStokes
from pyg_neuralops.engine import NextFrame, Rollout, fit, rollout
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized


def main(
    root: str = "datasets/navier-stokes",
    out: str = "runs/rollout",
    num_samples: int = 60,
    epochs: int = 10,
    **options: float,
) -> Rollout:
    """Train the union of KNN attention and LRSA on true windows; returns its free run from one test sample."""
    options = {"num_samples": num_samples, "resolution": 24, "refine": 4, **options}
    sets = {split: NavierStokes(root, split=split, **options) for split in ("train", "val", "test")}
    task = NextFrame()
    model = build_model(
        "la2former-lrsa",
        in_channels=10,
        out_channels=1,
        hidden_channels=32,
        num_layers=3,
        patches={"k": 13, "period": 1.0},
    )
    data = {split: [model.prepare(sample) for sample in samples] for split, samples in sets.items()}
    steps = task.items(data["train"])  # ten from each trajectory
    model = normalized(model, steps, x="none", y="none")
    fit(model, mesh_loader(steps, 8, shuffle=True), mesh_loader(data["val"], 4), task=task, out=out, epochs=epochs)

    model, sample = load_model(Path(out) / "best.safetensors"), data["test"][0]
    with torch.no_grad():
        free = rollout(model, sample, steps=10)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    first, second, curve = figure.subplots(1, 3)
    for ax, frames, title in ((first, sample.y, "truth, t = 20"), (second, free.frames, "free run, t = 20")):
        ax.imshow(frames[:, -1].reshape(sample.grid_shape).T.numpy(), origin="lower", cmap="RdBu", vmin=-3, vmax=3)
        ax.set(title=title, xticks=[], yticks=[])
    curve.plot(range(11, 21), (100 * free.errors[0]).numpy(), "o-")
    curve.set(xlabel="t", ylabel="relative L2 error, %", ylim=(0, None))
    figure.savefig(Path(out) / "rollout.png", dpi=120)
    return free


if __name__ == "__main__":
    print("relative L2 by frame:", [round(value, 3) for value in main().errors[0].tolist()])
