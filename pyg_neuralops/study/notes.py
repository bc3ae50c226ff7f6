"""What is said below a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .scores import of_metric

TITLES = {
    "relative_l2": "Relative L2 error",
    "relative_l2_integral": "Relative L2 error, as integrals,",
    "relative_max": "Largest error over the target's largest value",
    "mean_absolute": "Mean absolute error",
    "r2": "Coefficient of determination R² (1 is exact)",
}


def notes(results: dict[str, Any], metric: str, head: Sequence[str]) -> list[str]:
    """What the rows are of, tested how, and what is left out."""
    data, runs = results["data"], results["runs"]
    sizes = ", ".join(f"{count} {name}" for name, count in data["sizes"].items())
    low, middle, high = data["nodes"]
    points = f"{low}" if low == high else f"{low} to {high} (median {middle})"
    budgets = {
        f"{r['epochs']} epochs" if r["epochs"] else f"{r['seconds']:g} s of training"
        for r in (run["recipe"] for run in runs)
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
    missing = [f"{name} n/a: {b['not_applicable']}" for name, b in results["baselines"].items() if "test" not in b]
    remarks = [f"{name}: {b['remark']}" for name, b in results["baselines"].items() if b.get("remark")]
    notes += [f"Baseline {note}." for note in missing + remarks]
    return notes + _left_out(runs, metric) + _mixed(runs)


def _left_out(runs: Sequence[dict[str, Any]], metric: str) -> list[str]:
    """Which samples have no error, and which runs an infinite one."""
    found = of_metric(runs[0], metric)
    undefined, total = found["undefined"], len(found["per_sample"])
    notes = []
    if undefined["count"]:
        which = ", ".join(map(str, undefined["indices"][:10])) + (" ..." if undefined["count"] > 10 else "")
        notes += [
            f"Of {total} test samples {undefined['count']} (number {which}) have no {metric}, as their target is zero "
            "or constant; they are left out."
        ]
    for run in runs:
        infinite = of_metric(run, metric)["infinite"]["count"]
        notes += [f"{run['model']}, seed {run['seed']}: {infinite} predictions are not finite."] if infinite else []
    return notes


def _mixed(runs: Sequence[dict[str, Any]]) -> list[str]:
    """What sets runs apart that were not made at one time."""
    made = [run["environment"] for run in runs]
    codes = {(item["git"] or {}).get("hash") for item in made}
    machines = {tuple(item[name] for name in ("platform", "cpu_count", "threads", "accelerator")) for item in made}
    notes = [f"Runs of {len(codes)} versions of the code."] if len(codes) > 1 else []
    if len(machines) > 1:
        notes.append(f"Runs on {len(machines)} kinds of machine or numbers of threads: seconds do not compare.")
    return notes
