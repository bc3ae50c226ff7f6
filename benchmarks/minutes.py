"""Which training recipe is best in half a minute on one core? Each family of models is tuned alike, on validation data.

    python benchmarks/minutes.py --out runs/minutes [--seconds 30] [--screen 20] [--long 120] [--limit 120]

writes results/minutes.json. Every finished run has its file in --out, so that a study that was killed goes on.
Screening takes one group of changes at a time from the start, one seed, two problems; a change is kept if the geometric
mean of its validation errors is better by more than 2%. In the final the start, the best, and the best with the best
other optimiser meet on four problems and three fresh seeds; a few long runs then show start and best on one problem.
Budgets are seconds of pure training; the test split is never read.
Lion and SOAP come from the package pytorch-optimizer, and are left out where it is not installed.
"""

from __future__ import annotations

import argparse
import collections
import copy
import dataclasses
import functools
import importlib.metadata
import importlib.util
import itertools
import math
import re
import statistics
import time
from pathlib import Path
from typing import Any

import ten_problems
import torch
from timing import write

from pyg_neuralops.data import MeshData
from pyg_neuralops.engine import fit
from pyg_neuralops.models import build_model
from pyg_neuralops.study.data import Splits, load_splits
from pyg_neuralops.study.provenance import environment, read_json, write_json
from pyg_neuralops.study.run import Prepared, assembled
from pyg_neuralops.study.settings import Comparison

Changes = dict[str, Any]
"""What a recipe, or the size of a model, has other than the start."""

FAMILIES = {"la2former": "transformers", "lrsa": "low-rank attention", "mesh-graph-net": "graph networks"}
PROBLEMS = ("darcy-irregular", "pipe", "elasticity", "advection-diffusion")
"""The first two screen; the final has all."""
SIZES: dict[str, Changes] = {
    "darcy-irregular": {"points": 200},
    "pipe": {},
    "elasticity": {"points": 200},
    "advection-diffusion": {"points": 200, "num_samples": 240},
}
"""Half the points of ``ten_problems.py``, so that half a minute has some hundred steps."""
START: Changes = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 1e-5, "clip": 0.1}
"""The scripts' of the standard benchmarks, which the library's default was before this study."""
SEEDS = (1, 2, 3)
"""Of the final; screening has 0."""
MARGIN, SLACK, ON = math.log(1.02), math.log(1.05), 4
"""By how much a change must win; how much worse one may be on the first problem to see the second; how many may."""
LION, SOAP = "pytorch_optimizer.optimizer.lion:Lion", "pytorch_optimizer.optimizer.soap:SOAP"
THEIRS = importlib.util.find_spec("pytorch_optimizer") is not None
RATES = {
    "adamw": (1e-3, 2e-3, 4e-3, 8e-3),
    "muon": (2e-3, 4e-3, 8e-3, 1.6e-2),
    LION: (2e-4, 5e-4, 1e-3),
    SOAP: (1e-3, 3e-3, 6e-3),
}
DEPTHS = {"la2former": (2, 6), "lrsa": (2, 6), "mesh-graph-net": (4, 12)}
WIDTHS = (64, 24)
"""Depth against width, at about equal time; the start has 4 layers, or 8 steps, of 32 channels."""


def settings(problem: str, family: str, changes: Changes, seconds: float) -> Comparison:
    """Problem and model of ``ten_problems.py``, sizes from here, the library's recipe, batches of 4, and changes."""
    base = ten_problems.comparison(problem)
    own = {**START, **base.overrides[family], **changes}
    size = {**base.dataset_args, **SIZES[problem]}
    models: dict[str, Any] = {"models": (family,), "overrides": {family: own}}
    return dataclasses.replace(base, dataset_args=size, **models, epochs=None, seconds=seconds)


@functools.cache
def splits(problem: str) -> Splits:
    return load_splits(settings(problem, "lrsa", {}, 1.0))


@functools.cache
def samples(problem: str, family: str) -> tuple[list[MeshData], list[MeshData]]:
    """What trains and what validates, with the patches and edges of the family."""
    data = splits(problem)
    assert data.val is not None
    name, arguments = settings(problem, family, {}, 1.0).model(family)
    model = build_model(name, **data.shape, **arguments)
    first, second = ([model.prepare(copy.copy(sample)) for sample in part] for part in (data.train, data.val))
    return first, second


def title(changes: Changes) -> str:
    found = ", ".join(f"{key}={str(value).split(':')[-1]}" for key, value in changes.items())
    return found or "start"


@dataclasses.dataclass
class Study:
    """Runs, each trained once; ``stop`` is when no further one is begun."""

    out: Path
    stop: float
    rows: dict[Path, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def error(self, problem: str, family: str, changes: Changes, seconds: float, seed: int) -> float:
        """The best validation error of a run, from its file if it is finished; infinite if it diverged."""
        chosen = settings(problem, family, changes, seconds)
        name = re.sub(r"[^\w.=-]", "_", f"{title(changes)}-{seconds:g}s-seed{seed}")
        folder = self.out / problem / family / name
        path, this = folder / "error.json", [chosen.to_dict(), splits(problem).info["digest"], seed]
        if not path.exists():
            if time.monotonic() > self.stop:
                raise TimeoutError
            start = time.perf_counter()
            row = {**train(chosen, problem, family, seed, folder), "wall_seconds": time.perf_counter() - start}
            write_json(path, {**row, "changes": changes, "environment": environment()}, of=this)
            error = "diverged" if row["error"] is None else f"{100 * row['error']:.2f}%"
            print(
                f"{len(self.rows) + 1:3d} {family:15s} {problem:20s} seed {seed} {error:>8s} {row['epochs']:4d} epochs "
                f"{row['wall_seconds']:5.1f} s  {title(changes)}",
                flush=True,
            )
        key = {"family": family, "problem": problem, "budget": seconds, "seed": seed}
        self.rows[path] = found = {**key, **read_json(path, of=this)}
        return math.inf if found["error"] is None else float(found["error"])


def train(chosen: Comparison, problem: str, family: str, seed: int, folder: Path) -> dict[str, Any]:
    data, recipe = splits(problem), chosen.recipe(family)
    name, arguments = chosen.model(family)
    prepared = Prepared(*samples(problem, family), [], 0.0)
    model, first, second = assembled(data, prepared, name, arguments, recipe, seed)
    row = {"parameters": sum(weight.numel() for weight in model.parameters()), "error": None, "epochs": 0}
    try:
        result = fit(model, first, second, recipe, out=folder / "fit", task=data.task, seed=seed, progress=False)
    except FloatingPointError:
        return row
    steps = sum(epoch["batches"] for epoch in result.history)
    return row | {"error": result.best_val, "epochs": len(result.history), "steps": steps, "seconds": result.seconds}


@dataclasses.dataclass
class Screening:
    """Successive halving for one family: the first problem sorts out what need not see the second."""

    study: Study
    family: str
    seconds: float
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def log_error(self, problem: str, changes: Changes) -> float:
        return math.log(self.study.error(problem, self.family, changes, self.seconds, 0))

    def race(self, group: str, now: Changes, others: list[Changes]) -> Changes:
        """The best of ``others`` if it beats ``now`` by more than the margin, else ``now``."""
        base = [self.log_error(problem, now) for problem in PROBLEMS[:2]]
        firsts = {index: self.log_error(PROBLEMS[0], other) - base[0] for index, other in enumerate(others)}
        on = [index for index in sorted(firsts, key=firsts.__getitem__)[:ON] if firsts[index] <= SLACK]
        gains = {index: (firsts[index] + self.log_error(PROBLEMS[1], others[index]) - base[1]) / 2 for index in on}
        for index, other in enumerate(others):
            ratios = {"first_ratio": math.exp(firsts[index])}
            ratios |= {"ratio": math.exp(gains[index])} if index in gains else {}
            self.rows.append({"group": group, "now": now, "changes": other, **ratios})
        best = min(gains, key=gains.__getitem__, default=None)
        return others[best] if best is not None and gains[best] < -MARGIN else now

    def optimizers(self) -> list[Changes]:
        return [
            {"optimizer": name, "lr": rate}
            for name, rates in RATES.items()
            if ":" not in name or THEIRS
            for rate in rates
            if (name, rate) != ("adamw", 1e-3)
        ]

    def finalists(self) -> dict[str, Changes]:
        """Start, best, and the best with the best other optimiser, whose rate is scaled as that of the best was."""
        best = raced = self.race("optimizer and lr", {}, self.optimizers())
        groups: dict[str, list[Changes]] = {
            "clip": [{"clip": None}, {"clip": 1.0}],
            "weight_decay": [{"weight_decay": 0.1}],
            "pct_start": [{"pct_start": 0.1}],
            "ema": [{"ema": 0.99}],
            "batch_size": [{"batch_size": size} for size in (1, 2, 8)],
            "depth and width": [
                {"num_layers": depth, "hidden_channels": width}
                for depth, width in zip(DEPTHS[self.family], WIDTHS, strict=True)
            ],
        }
        for group, values in groups.items():
            best = self.race(group, best, [{**best, **value} for value in values])
        rate = best.get("lr", 1e-3)
        best = self.race("lr again", best, [{**best, "lr": rate * factor} for factor in (0.5, 2.0)])
        start = {"changes": {"optimizer": "adamw", "lr": 1e-3}, "first_ratio": 1.0, "ratio": 1.0}
        rows = [start, *(row for row in self.rows if row["group"] == "optimizer and lr")]
        others = [row for row in rows if row["changes"]["optimizer"] != raced.get("optimizer", "adamw")]
        rival = min(others, key=lambda row: (row.get("ratio", math.inf), row["first_ratio"]))["changes"]
        scale = best.get("lr", 1e-3) / raced.get("lr", 1e-3)
        found = {"start": {}, "best": best, "rival": {**best, **rival, "lr": rival["lr"] * scale}}
        print(f"{self.family}: best {title(best)}; rival {title(found['rival'])}", flush=True)
        return found


@dataclasses.dataclass
class Final:
    """Errors of finalists, by family, recipe, and (problem, seed)."""

    study: Study
    seconds: float
    errors: dict[str, dict[str, dict[tuple[str, int], float]]] = dataclasses.field(default_factory=dict)

    def run(self, family: str, problem: str, recipes: dict[str, Changes], seed: int) -> None:
        """All recipes on one problem with one seed, or none of them."""
        found = {name: self.study.error(problem, family, it, self.seconds, seed) for name, it in recipes.items()}
        for name, error in found.items():
            self.errors.setdefault(family, {}).setdefault(name, {})[problem, seed] = error

    def tables(self) -> dict[str, Any]:
        return {family: summary(errors) for family, errors in self.errors.items()}


def summary(errors: dict[str, dict[tuple[str, int], float]]) -> dict[str, Any]:
    """By recipe mean and sample deviation over seeds; for each pair of recipes the ratios by problem and seed."""
    found: dict[str, Any] = {"errors": {}, "score": {}, "pairs": {}}
    for recipe, values in errors.items():
        by_problem: dict[str, list[float]] = {}
        for (problem, _), value in values.items():
            by_problem.setdefault(problem, []).append(value)
        found["errors"][recipe] = {problem: mean_std(here) for problem, here in by_problem.items()}
        found["score"][recipe] = math.exp(statistics.fmean(map(math.log, values.values())))
    for one, two in itertools.combinations(errors, 2):
        logs = [math.log(errors[two][key] / errors[one][key]) for key in errors[one]]
        pair = {"ratio": math.exp(statistics.fmean(logs)), "log_ratio": mean_std(logs)}
        found["pairs"][f"{two} / {one}"] = {**pair, "wins": sum(log < 0 for log in logs), "of": len(logs)}
    return found


def mean_std(values: list[float]) -> dict[str, float | None]:
    return {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}


def show(tables: dict[str, Any]) -> None:
    for family, table in tables.items():
        print(family, *(f"{name} {100 * score:.2f}%" for name, score in table["score"].items()), sep="  ")
        for name, pair in table["pairs"].items():
            print(f"  {name}: {pair['ratio']:.3f}, better in {pair['wins']} of {pair['of']}")


def finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON has no infinity: None stands for what diverged."""
    return [{key: None if value == math.inf else value for key, value in row.items()} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/minutes"))
    parser.add_argument("--seconds", type=float, default=30.0, help="of a run in the final")
    parser.add_argument("--screen", type=float, default=20.0, help="seconds of a run in screening")
    parser.add_argument("--long", type=float, default=120.0, help="seconds of a run that shows what becomes of it")
    parser.add_argument("--limit", type=float, default=math.inf, help="minutes after which no run is begun")
    parser.add_argument("--results", default="minutes", help="name of the file in results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    study = Study(args.out, time.monotonic() + 60 * args.limit)
    screens = {family: Screening(study, family, args.screen) for family in FAMILIES}
    most = len(FAMILIES) * (2 + len(screens["lrsa"].optimizers()) + ON + 2 * 12)
    finals, longs = len(FAMILIES) * 3 * len(PROBLEMS) * len(SEEDS), len(FAMILIES) * 2
    planned = 1.08 * (most * args.screen + finals * args.seconds + longs * args.long) / 60
    print(f"at most {most}, {finals} and {longs} runs of screening, final and long: {planned:.0f} min", flush=True)
    chosen: dict[str, dict[str, Changes]] = {}
    final, long = Final(study, args.seconds), Final(study, args.long)
    try:
        chosen |= {family: screen.finalists() for family, screen in screens.items()}
        for seed, family, problem in itertools.product(SEEDS, FAMILIES, PROBLEMS):
            final.run(family, problem, chosen[family], seed)
        for family in FAMILIES:
            long.run(family, PROBLEMS[0], {name: chosen[family][name] for name in ("start", "best")}, SEEDS[0])
    except TimeoutError:
        print(f"the limit of {args.limit:g} min is reached; the results are those of what is finished", flush=True)
    runs = finite([{key: row[key] for key in row if key != "environment"} for row in study.rows.values()])
    states = [row["environment"]["git"] or {} for row in study.rows.values()]
    commits = collections.Counter(f"{it.get('hash')}{', changed' * bool(it.get('dirty'))}" for it in states)
    tables = {"final": final.tables(), "long": long.tables()}
    for table in tables.values():
        show(table)
    seconds = {"screening": args.screen, "final": args.seconds, "long": args.long}
    content: dict[str, Any] = {
        "environment": environment(),
        "seconds": seconds,
        "seeds": {"screening": 0, "final": SEEDS},
    }
    content["pytorch-optimizer"] = importlib.metadata.version("pytorch-optimizer") if THEIRS else None
    content["runs_by_commit"] = dict(commits)
    content |= {"planned_runs": [most, finals, longs], "wall_minutes": sum(row["wall_seconds"] for row in runs) / 60}
    content |= {"data": {problem: splits(problem).info for problem in PROBLEMS}, "finalists": chosen, **tables}
    content |= {"screening": {family: finite(screen.rows) for family, screen in screens.items()}, "runs": runs}
    write(args.results, content)


if __name__ == "__main__":
    main()
