"""From a dataset to a trained model, its file, and a picture, in Python.

python examples/quick_start.py
"""

from pathlib import Path

from pyg_neuralops.checkpoint import load_model
from pyg_neuralops.data import mesh_loader
from pyg_neuralops.datasets import DarcyIrregular
from pyg_neuralops.engine import evaluate, fit
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.plotting import plot_predictions


def main(root: str = "datasets/darcy-irregular", out: str = "runs/quick", num_samples: int = 240, epochs: int = 10):
    """Train LA2Former on Darcy flow in irregular domains; returns the mean test error (relative L2)."""
    sets = {s: DarcyIrregular(root, split=s, num_samples=num_samples, points=400) for s in ("train", "val", "test")}
    model = build_model(
        "la2former",
        in_channels=sets["train"][0].in_channels,
        out_channels=1,
        hidden_channels=32,
        num_layers=3,
        patches=16,
    )
    data = {split: [model.prepare(sample) for sample in samples] for split, samples in sets.items()}
    model = normalized(model, data["train"])
    train = mesh_loader(data["train"], 4, shuffle=True)
    fit(model, train, mesh_loader(data["val"], 4), out=out, epochs=epochs)

    model = load_model(Path(out) / "best.safetensors")  # all there is to deploy
    error = evaluate(model, mesh_loader(data["test"], 4)).first.mean().item()
    sample = data["test"][0]
    plot_predictions(sample, {"LA2Former": model(sample).detach()}).savefig(Path(out) / "fields.png")
    return error


if __name__ == "__main__":
    print(f"relative L2 on test: {main():.3f}")
