"""LRSA, LA2Former and Transolver trained in several precisions on the same data, and the ratios of their errors.

python benchmarks/precision.py                # fp32 and bf16-mixed; with a GPU fp16-mixed too
writes results/precision.json; runs are kept in runs/precision and resumed
"""

from __future__ import annotations

import torch
from timing import write

from pyg_neuralops.study.comparison import compare
from pyg_neuralops.study.settings import Comparison

MODELS = ("lrsa", "la2former", "transolver")
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def comparison() -> Comparison:
    precisions = [name for name in PRECISIONS if name != "fp16" or torch.cuda.is_available()]
    labels = {f"{model} {name}": (model, PRECISIONS[name]) for model in MODELS for name in precisions}
    return Comparison(
        dataset="darcy-irregular",
        dataset_args={"num_samples": 240, "points": 250},
        models=tuple(labels),
        overrides={
            label: {"model": model, "precision": precision, "heads": 8} for label, (model, precision) in labels.items()
        },
        epochs=10,
        batch_size=4,
        hidden_channels=32,
        num_layers=3,
        out="runs/precision",
    )


def main() -> None:
    settings = comparison()
    results = compare(settings)
    errors = {run["model"]: run["test"]["mean"] for run in results["runs"]}
    rows = {}
    for label, error in errors.items():
        single = errors[f"{label.split()[0]} fp32"]
        rows[label] = {"error": error, "over fp32": error / single}
        print(f"{label:20s} error {error:.4f}, {rows[label]['over fp32']:.2f} of fp32")
    write("precision", {"settings": settings.to_dict(), "errors": rows})


if __name__ == "__main__":
    main()
