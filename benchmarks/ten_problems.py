"""Five models on all ten problems at a small budget, and metric patches on the two directional ones; one table.

python benchmarks/ten_problems.py                 # all; finished runs are kept, an interrupted one goes on
python benchmarks/ten_problems.py darcy pipe      # some
without names it writes results/ten_problems.json; runs are kept in runs/ten
"""

from __future__ import annotations

import sys
from typing import Any

from timing import write

from pyg_neuralops.study.comparison import compare
from pyg_neuralops.study.settings import Comparison

PATCH = 16
MODELS: dict[str, dict[str, Any]] = {
    "la2former-global": {"heads": 4},
    "la2former": {"heads": 4, "patches": {"k": PATCH}},
    "lrsa": {"heads": 4, "num_latents": 32},
    "la2former-lrsa": {"heads": 4, "patches": {"k": PATCH}, "num_latents": 32},
    "mesh-graph-net": {"num_layers": 8},
}
"""Linear attention alone, LA2Former, LRSA, their union, and a GNN with twice their layers."""

SIZES: dict[str, dict[str, Any]] = {
    "darcy": {"num_samples": 180, "resolution": 21, "refine": 20},
    "darcy-irregular": {"num_samples": 180, "points": 400},
    "navier-stokes": {"num_samples": 240, "resolution": 16, "refine": 4},
    "elasticity": {"num_samples": 180, "points": 400},
    "plasticity": {"num_samples": 120, "columns": 21, "rows": 9},
    "airfoil": {"num_samples": 180, "resolution": 45, "refine": 2},
    "pipe": {"num_samples": 180, "resolution": 17, "refine": 4},
    "advection-diffusion": {"num_samples": 480, "points": 300},
    "anisotropic-diffusion": {"num_samples": 480, "points": 300},
    "poisson": {"num_samples": 180, "per_side": 7},
}
EPOCHS = {"navier-stokes": 5, "plasticity": 5, "advection-diffusion": 20, "anisotropic-diffusion": 20}
"""About 2000 steps a model: 60 epochs where there are 180 samples."""

TRIVIAL = ("mean", "1-nn", "ridge")
METRICS = {"advection-diffusion": "Upwind('wind', stretch=6)", "anisotropic-diffusion": "Anisotropic('conductivity')"}
PERIODS = {"navier-stokes": 1.0}


def comparison(name: str) -> Comparison:
    models = {label: dict(arguments) for label, arguments in MODELS.items()}
    if name in PERIODS:
        for label in ("la2former", "la2former-lrsa"):
            models[label]["patches"] = {"k": PATCH, "period": PERIODS[name]}
    if name == "plasticity":  # the answer holds positions, which MeshGraphNet's nodes do not see by default
        models["mesh-graph-net"]["coords"] = True
    if name in METRICS:
        models["gatv2, patches"] = {"model": "gatv2", "graph": "patches", "heads": 4, "patches": {"k": PATCH}}
        patches = {"k": PATCH, "metric": METRICS[name]}
        for label in ("la2former", "la2former-lrsa", "gatv2, patches"):
            models[f"{label}, metric"] = {"model": label, **models[label]} | {"patches": patches}
    return Comparison(
        dataset=name,
        dataset_args={**SIZES[name], "source": "generated"},
        models=tuple(models),
        overrides={label: arguments for label, arguments in models.items() if arguments},
        epochs=EPOCHS.get(name, 60),
        batch_size=4,
        normalize_y="none" if name == "navier-stokes" else "channel",
        hidden_channels=32,
        num_layers=4,
        out=f"runs/ten/{name}",
    )


def markdown(errors: dict[str, dict[str, float]]) -> str:
    """Problems down, the best trivial baseline and the models across; the best of each row in bold."""
    columns = [*MODELS, "gatv2, patches"]
    lines = ["| problem | " + " | ".join(["best trivial", *columns]) + " |", "|---|" + "---:|" * (len(columns) + 1)]
    for name, found in errors.items():
        trivial = min(found[label] for label in TRIVIAL if label in found)
        rows = {name: [trivial, *(found.get(label) for label in columns)]}
        if name in METRICS:
            rows[f"{name}, metric patches"] = [None, *(found.get(f"{label}, metric") for label in columns)]
        for title, values in rows.items():
            best = min(value for value in values if value is not None)
            cells = ["" if v is None else f"**{100 * v:.3g}%**" if v == best else f"{100 * v:.3g}%" for v in values]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - set(SIZES))
    if unknown:
        sys.exit(f"unknown problems {unknown}; choose from {list(SIZES)}")
    tables = {}
    for name in names or SIZES:
        print(f"== {name}", flush=True)
        settings = comparison(name)
        results = compare(settings)
        errors = {label: found["test"]["mean"] for label, found in results["baselines"].items() if "test" in found}
        errors |= {run["model"]: run["test"]["mean"] for run in results["runs"]}
        tables[name] = {
            "errors": errors,
            "train_seconds": {run["model"]: run["train_seconds"] for run in results["runs"]},
            "parameters": {run["model"]: run["parameters"] for run in results["runs"]},
            "settings": settings.to_dict(),
        }
        for label, error in errors.items():
            print(f"{label:30s} {100 * error:6.2f}%")
    print(markdown({name: table["errors"] for name, table in tables.items()}))
    if set(tables) == set(SIZES):
        write("ten_problems", {"problems": tables})


if __name__ == "__main__":
    main(sys.argv[1:])
