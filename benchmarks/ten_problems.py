"""Five models on all ten problems at equal seconds; one table. Directional patches have studies of their own.

python benchmarks/ten_problems.py [--seconds 60] [--seeds 3] [--jobs 2]   # all; an interrupted one goes on
python benchmarks/ten_problems.py --steps 2000 darcy pipe                 # some, at equal steps
python benchmarks/ten_problems.py --steps 1000 --models la2former-global la2former
for all problems it writes results/ten_problems.json, or results/ten_problems-2000-steps.json; runs are kept in runs/ten
Every model has the recipe of its family, as benchmarks/minutes.py chose it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
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
TRIVIAL = ("mean", "1-nn", "ridge")
PERIODS = {"navier-stokes": 1.0}


def comparison(name: str, seeds: int = 1, chosen: Sequence[str] = tuple(MODELS), **budget: float) -> Comparison:
    """With a budget such as ``seconds=60.0`` or ``steps=2000``."""
    (kind, amount) = next(iter(budget.items()), ("seconds", 60.0))
    models = {label: dict(MODELS[label]) for label in chosen}
    if name in PERIODS:
        for label in {"la2former", "la2former-lrsa"} & set(models):
            models[label]["patches"] = {"k": PATCH, "period": PERIODS[name]}
    # Plasticity's answer holds positions, which MeshGraphNet's nodes do not see by default.
    if name == "plasticity" and "mesh-graph-net" in models:
        models["mesh-graph-net"]["coords"] = True
    return Comparison(
        dataset=name,
        dataset_args={**SIZES[name], "source": "generated"},
        models=tuple(models),
        overrides={label: arguments for label, arguments in models.items() if arguments},
        **{kind: amount},  # type: ignore[arg-type]
        seeds=seeds,
        batch_size=4,
        normalize_y="none" if name == "navier-stokes" else "channel",
        hidden_channels=32,
        num_layers=4,
        out=f"runs/ten/{name}-{amount:g}-{kind}",
    )


def markdown(errors: dict[str, dict[str, list[float]]]) -> str:
    """Problems down, the best trivial baseline and the models across; the best mean of each row in bold."""
    chosen = [label for label in MODELS if label in next(iter(errors.values()))]
    lines = ["| problem | " + " | ".join(["best trivial", *chosen]) + " |", "|---|" + "---:|" * (len(chosen) + 1)]
    for name, found in errors.items():
        trivial = min((found[label] for label in TRIVIAL if label in found), key=statistics.mean)
        values = [trivial, *(found[label] for label in chosen)]
        best = min(map(statistics.mean, values))
        lines.append(f"| {name} | " + " | ".join(_cell(value, best) for value in values) + " |")
    return "\n".join(lines)


def _cell(errors: list[float], best: float) -> str:
    """``12.3 ± 0.4%``, with the sample deviation over seeds where there are several."""
    mean = statistics.mean(errors)
    spread = f" ± {100 * statistics.stdev(errors):.2g}" if len(errors) > 1 else ""
    text = f"{100 * mean:.3g}{spread}%"
    return f"**{text}**" if mean == best else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PROBLEM")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--seconds", type=float, default=60.0)
    budget.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(SIZES))
    if unknown:
        parser.error(f"unknown problems {unknown}; choose from {list(SIZES)}")
    spend = {"seconds": options.seconds} if options.steps is None else {"steps": options.steps}
    tables: dict[str, Any] = {}
    for name in options.names or SIZES:
        print(f"== {name}", flush=True)
        settings = comparison(name, options.seeds, options.models, **spend)
        results = compare(settings, jobs=options.jobs)
        errors = {label: [found["test"]["mean"]] for label, found in results["baselines"].items() if "test" in found}
        seconds: dict[str, list[float]] = {}
        steps: dict[str, list[int]] = {}
        for run in results["runs"]:
            errors.setdefault(run["model"], []).append(run["test"]["mean"])
            seconds.setdefault(run["model"], []).append(run["train_seconds"])
            steps.setdefault(run["model"], []).append(sum(row["batches"] for row in run["history"]))
        tables[name] = {
            "errors": errors,
            "train_seconds": seconds,
            "steps": steps,
            "parameters": {run["model"]: run["parameters"] for run in results["runs"]},
            "settings": settings.to_dict(),
        }
        for label, found in errors.items():
            print(f"{label:30s} {_cell(found, 0.0)}", flush=True)
    print(markdown({name: table["errors"] for name, table in tables.items()}))
    if set(tables) == set(SIZES):
        write("ten_problems" if options.steps is None else f"ten_problems-{options.steps}-steps", {"problems": tables})


if __name__ == "__main__":
    main()
