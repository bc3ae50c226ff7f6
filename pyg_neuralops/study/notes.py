"""What is said below a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .scores import of_metric

FEW = 1000
"""Steps below which a table is no comparison of models yet."""

TITLES = {
    "relative_l2": "Relative L2 error",
    "relative_l2_integral": "Relative L2 error, as integrals,",
    "relative_max": "Largest error over the target's largest value",
    "mean_absolute": "Mean absolute error",
    "r2": "Coefficient of determination R² (1 is exact)",
}


def notes(results: dict[str, Any], metrics: Sequence[str], head: Sequence[str]) -> list[str]:
    """What the rows are of, tested how by the first metric, and what is left out of any."""
    metric = metrics[0]
    data, runs = results["data"], results["runs"]
    sizes = ", ".join(f"{count} {name}" for name, count in data["sizes"].items())
    low, middle, high = data["nodes"]
    points = f"{low}" if low == high else f"{low} to {high} (median {middle})"
    budgets = {
        f"{r['seconds']:g} s of training" if r["seconds"] else f"{r['epochs'] or r['steps']:,} {name}"
        for r in (run["recipe"] for run in runs)
        for name in ["epochs" if r["epochs"] else "steps"]
    }
    seeds = sorted({sum(other["model"] == run["model"] for other in runs) for run in runs})
    notes = [
        f"{TITLES.get(metric, metric)} on the test split of {data['dataset']} ({sizes}; {points} points; protocol "
        f"{data['protocol']}), {' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seed(s), "
        f"{' or '.join(sorted(budgets))} each. In italics: trivial baselines."
    ]
    if "p" in head:
        notes += [
            f"p: Wilcoxon's signed-rank test of the test samples' errors (means over seeds) against {runs[0]['model']}."
        ]
    if "p (seeds)" in head:
        notes += [f"p (seeds): paired t test of the seeds' mean errors against {runs[0]['model']}."]
    notes += [
        f"{label}: K = {found['k']}, chosen by attention and connectedness in {found['seconds']:.0f} s."
        for label, found in results.get("chosen_k", {}).items()
    ]
    missing = [f"{name} n/a: {b['not_applicable']}" for name, b in results["baselines"].items() if "test" not in b]
    remarks = [f"{name}: {b['remark']}" for name, b in results["baselines"].items() if b.get("remark")]
    notes += [f"Baseline {note}." for note in missing + remarks]
    return notes + untrained(results) + _left_out(results, metrics) + _mixed(runs)


def untrained(results: dict[str, Any]) -> list[str]:
    """Which models were given too little to be compared: fewer than :data:`FEW` steps, or an error above that of the
    best trivial baseline (by the metric that selects the weights, of which less is better)."""
    levels = {name: b["test"]["mean"] for name, b in results["baselines"].items() if "test" in b}
    levels = {name: level for name, level in levels.items() if level is not None}
    found = []
    for model in dict.fromkeys(run["model"] for run in results["runs"]):
        runs = [run for run in results["runs"] if run["model"] == model]
        steps = min(sum(row["batches"] for row in run["history"]) for run in runs)
        errors = [math.inf if run["test"]["mean"] is None else run["test"]["mean"] for run in runs]
        why = [f"{steps} steps, under {FEW:,}"] if steps < FEW else []
        if levels:
            best = min(levels, key=lambda name: levels[name])
            why += [f"no better than {best}"] if sum(errors) / len(errors) >= levels[best] else []
        if why:
            found.append(f"{model} is not trained enough to be compared: {'; '.join(why)}.")
    return found


def gaps(found: dict[str, Any]) -> str:
    """What a mean is not of, or is infinite for: " (2 of 12 samples have none: number 3, 7)"; else empty."""
    total = len(found["per_sample"])
    kinds = {"have none": found["undefined"], "are infinite": found["infinite"]}
    parts = [
        f"{k['count']} of {total} samples {said}: {_numbers(k['indices'])}" for said, k in kinds.items() if k["count"]
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _numbers(indices: Sequence[int]) -> str:
    return f"number {', '.join(map(str, indices[:10]))}{' ...' if len(indices) > 10 else ''}"


def _left_out(results: dict[str, Any], metrics: Sequence[str]) -> list[str]:
    """Which samples have no error, by which metrics and in which rows, and which rows an infinite one."""
    rows = {f"baseline {name}": found for name, found in results["baselines"].items() if "test" in found}
    rows |= {f"{run['model']}, seed {run['seed']}": run for run in results["runs"]}
    # Metrics that leave out the same samples in the same rows share a note.
    found: dict[tuple[tuple[int, ...], int, tuple[str, ...]], list[str]] = {}
    notes = []
    for metric in metrics:
        which: dict[tuple[tuple[int, ...], int], list[str]] = {}
        for row, result in rows.items():
            one = of_metric(result, metric)
            which.setdefault((tuple(one["undefined"]["indices"]), len(one["per_sample"])), []).append(row)
            if one["infinite"]["count"]:
                notes.append(f"{row}: {metric} is infinite for {one['infinite']['count']} test samples.")
        for (indices, total), names in which.items():
            if indices:
                owners = () if len(which) == 1 else tuple(names)
                found.setdefault((indices, total, owners), []).append(metric)
    left = []
    for (indices, total, owners), names in found.items():
        reason = ", as their target is zero or constant" if all(n.partition("/")[0] in TITLES for n in names) else ""
        of = f"{'; '.join(owners)}: of" if owners else "Of"
        what = f"{of} {total} test samples {len(indices)} ({_numbers(indices)}) have no {', '.join(names)}"
        left.append(f"{what}{reason}; they are left out.")
    return left + notes


def _mixed(runs: Sequence[dict[str, Any]]) -> list[str]:
    """What sets runs apart that were not made at one time."""
    made = [run["environment"] for run in runs]
    codes = {(item["git"] or {}).get("hash") for item in made}
    machines = {tuple(item[name] for name in ("platform", "cpu_count", "threads", "accelerator")) for item in made}
    notes = [f"Runs of {len(codes)} versions of the code."] if len(codes) > 1 else []
    if len(machines) > 1:
        notes.append(f"Runs on {len(machines)} kinds of machine or numbers of threads: seconds do not compare.")
    return notes
