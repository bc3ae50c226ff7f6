"""Does a model that was trained on meshes of one density work on others? Irregular Darcy, LA2Former, one seed.

    python benchmarks/mesh_density.py --out runs/mesh_density [--epochs 6] [--seed 0] [--only LABEL ...] [--trained ...]

Trained at 400 points, on uniform or on graded meshes (spacing varying 4 times within a sample), and tested on other
samples of the same problem: uniform with 200, 400, 800 and 1,600 points, and graded with 400. Finished runs have a file
in --out and are not repeated; the table is written to results/mesh_density.json and printed.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from timing import write

from pyg_neuralops.data import MeshData, mesh_loader
from pyg_neuralops.engine import evaluate, fit
from pyg_neuralops.models import build_model
from pyg_neuralops.study.data import Splits, load_split, load_splits
from pyg_neuralops.study.provenance import environment, read_json, write_json
from pyg_neuralops.study.run import assembled, prepare
from pyg_neuralops.study.settings import DataChoice, Recipe
from pyg_neuralops.transforms import BoundaryDistance

MODEL = {"hidden_channels": 48, "num_layers": 4, "heads": 4}
RADIUS = 0.15
"""So that a patch has 24 points at 400, in the mean."""
BALL = {"k": 128, "radius": RADIUS, "scale": "domain"}
VARIANTS: dict[str, dict[str, Any]] = {
    "k=24": {"patches": 24},
    "k=24, measure": {"patches": 24, "measure": True},
    "radius": {"patches": BALL},
    "radius, measure": {"patches": BALL, "measure": True},
    "radius, measure, scales": {"patches": BALL, "measure": True, "scales": [1.0, 0.5]},
    "radius by reach, measure": {"patches": {**BALL, "scale": "reach"}, "measure": True},
    "k=24, measure, distance": {"patches": 24, "measure": True, "inputs": "distance"},
    "radius, distance": {"patches": BALL, "inputs": "distance"},
    "radius, measure, distance": {"patches": BALL, "measure": True, "inputs": "distance"},
    "no patches": {"local": False},
    "no patches, measure": {"local": False, "measure": True},
}
"""Of LA2Former; with inputs="distance" the second channel, the mark of boundary nodes, is the distance to it: the
integral of the mark halves with the spacing, that of the distance does not."""
TRAINED = {"uniform": 0, "graded": 4}
TESTED = {
    "uniform 200": {"points": 200},
    "uniform 400": {"points": 400},
    "uniform 800": {"points": 800},
    "uniform 1600": {"points": 1600},
    "graded 400": {"points": 400, "grading": 4},
}


def samples(root: str | None, **arguments: Any) -> DataChoice:
    arguments = {name: value for name, value in arguments.items() if value}
    return DataChoice(dataset="darcy-irregular", dataset_args=arguments, root=root, workers=1)


def with_distance(samples: Sequence[MeshData]) -> list[MeshData]:
    """The samples with the distance to the boundary in place of its mark."""
    out = []
    for sample in samples:
        sample = BoundaryDistance()(copy.copy(sample))
        sample.x = sample.x[:, [0, 2]]
        out.append(sample)
    return out


def run(label: str, splits: Splits, tests: dict[str, list[MeshData]], epochs: int, seed: int, out: Path) -> dict:
    """Errors by test set, seconds, and points a patch."""
    recipe = Recipe(epochs=epochs, batch_size=4).for_model("la2former")
    kwargs = {**MODEL, **VARIANTS[label]}
    if kwargs.pop("inputs", "mark") == "distance":
        assert splits.val is not None
        parts = {name: with_distance(getattr(splits, name)) for name in ("train", "val", "test")}
        splits = dataclasses.replace(splits, **parts)
        tests = {name: with_distance(part) for name, part in tests.items()}
    with torch.random.fork_rng():
        prepared = prepare(build_model("la2former", **splits.shape, **kwargs), splits)
    model, train, val = assembled(splits, prepared, "la2former", kwargs, recipe, seed)
    result = fit(model, train, val, recipe, out=out, task=splits.task, seed=seed, progress=False, resume=False)
    found: dict[str, Any] = {"seconds": result.seconds, "val": result.best_val, "errors": {}, "points": {}, "ms": {}}
    for name, part in tests.items():
        ready = [model.prepare(copy.copy(sample)) for sample in part]
        start = time.perf_counter()
        scores = evaluate(model, mesh_loader(ready, 4), splits.task)
        found["ms"][name] = 1e3 * (time.perf_counter() - start) / len(part)
        found["errors"][name] = float(scores.first.mean())
        if "patch_index" in ready[0]:
            sizes = torch.cat([torch.bincount(one.patch_index[1]) for one in ready]).double()
            found["points"][name] = [float(sizes.mean()), int(sizes.max())]
    return found


def table(rows: dict[str, dict[str, Any]]) -> str:
    lines = [f"| trained on | patches | {' | '.join(TESTED)} | seconds |", "|---|---|" + "---:|" * (len(TESTED) + 1)]
    for name, row in rows.items():
        trained, _, label = name.partition(": ")
        errors = " | ".join(f"{100 * row['errors'][test]:.1f}%" for test in TESTED)
        lines.append(f"| {trained} | {label} | {errors} | {row['seconds']:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--root", help="folder of the data")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--trained", nargs="+", choices=list(TRAINED), default=list(TRAINED))
    options = parser.parse_args()
    torch.set_num_threads(1)
    tests = {
        name: list(load_split(samples(options.root, num_samples=60, seed=1, **arguments), "all")[0])
        for name, arguments in TESTED.items()
    }
    rows: dict[str, dict[str, Any]] = {}
    for trained in options.trained:
        splits = load_splits(samples(options.root, num_samples=360, points=400, grading=TRAINED[trained]))
        for label in options.only:
            path = options.out / f"{trained}-{label.replace(', ', '-')}-{options.epochs}-seed{options.seed}.json"
            this = {
                "model": {**MODEL, **VARIANTS[label]},
                "tested": TESTED,
                "epochs": options.epochs,
                "seed": options.seed,
            }
            this["digest"] = splits.info["digest"]
            if not path.exists():
                fitted = options.out / "fit" / path.stem
                write_json(path, run(label, splits, tests, options.epochs, options.seed, fitted), of=this)
            name = f"{trained}: {label}"
            rows[name] = read_json(path, of=this)
            print(f"{name:36s}", *(f"{100 * error:6.2f}%" for error in rows[name]["errors"].values()), flush=True)
    print(table(rows))
    write("mesh_density", {"runs": rows, "environment": environment()})


if __name__ == "__main__":
    main()
