"""The table of a comparison, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

HEAD = ("model", "test error", "median", "vs best trivial", "parameters", "s/epoch", "epochs", "training s", "peak MB")


def percent(error: float) -> str:
    """``0.03217 -> "3.22%"``."""
    return f"{100 * error:.2f}%" if error < 0.1 else f"{100 * error:.1f}%"


def table(results: dict[str, Any]) -> str:
    """Models and baselines by rising mean test error; means over seeds, with their standard deviation.

    "vs best trivial" is the error over that of the best trivial baseline: below 1 something was learned.
    """
    trivial = {name: b["test"] for name, b in results["baselines"].items() if "test" in b}
    reference = min((test["mean"] for test in trivial.values()), default=None)
    rows: list[tuple[float, list[str]]] = []
    for name, test in trivial.items():
        cells = [f"*{name}*", percent(test["mean"]), percent(test["median"]), _ratio(test["mean"], reference)]
        rows.append((test["mean"], cells + [""] * (len(HEAD) - len(cells))))
    for name in dict.fromkeys(run["model"] for run in results["runs"]):
        runs = [run for run in results["runs"] if run["model"] == name]
        means = [run["test"]["mean"] for run in runs]
        error = float(np.mean(means))
        spread = f" ± {100 * np.std(means):.2f}" if len(runs) > 1 else ""
        rows.append(
            (
                error,
                [
                    name,
                    percent(error) + spread,
                    percent(_mean(runs, "test", "median")),
                    _ratio(error, reference),
                    f"{runs[0]['parameters']:,}",
                    f"{_mean(runs, 'seconds_per_epoch'):.3g}",
                    f"{_mean(runs, 'epochs'):.0f}",
                    f"{_mean(runs, 'train_seconds'):.0f}",
                    f"{max(run['peak_memory_bytes'] for run in runs) / 1e6:.0f}",
                ],
            )
        )
    lines = _align([list(HEAD), *(cells for _, cells in sorted(rows, key=lambda row: row[0]))])
    lines += ["", *_notes(results)]
    return "\n".join(lines) + "\n"


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = [
        "| "
        + " | ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return [text[0], rule, *text[1:]]


def _notes(results: dict[str, Any]) -> list[str]:
    data, comparison = results["data"], results["comparison"]
    sizes = ", ".join(f"{count} {name}" for name, count in data["sizes"].items())
    low, middle, high = data["nodes"]
    points = f"{low}" if low == high else f"{low} to {high} (median {middle})"
    budget = f"{comparison['epochs']} epochs" if comparison["epochs"] else f"{comparison['seconds']:g} s of training"
    notes = [
        f"Relative L2 error on the test split of {data['dataset']} ({sizes}; {points} points; protocol "
        f"{data['protocol']}), {comparison['seeds']} seed(s), {budget} each. In italics: trivial baselines."
    ]
    missing = [f"{name} n/a: {b['not_applicable']}" for name, b in results["baselines"].items() if "test" not in b]
    remarks = [f"{name}: {b['remark']}" for name, b in results["baselines"].items() if b.get("remark")]
    return notes + [f"Baseline {note}." for note in missing + remarks] + _mixed(results["runs"])


def _mixed(runs: Sequence[dict[str, Any]]) -> list[str]:
    """What sets runs apart that were not made at one time."""
    made = [run["environment"] for run in runs]
    codes = {(item["git"] or {}).get("hash") for item in made}
    machines = {tuple(item[name] for name in ("platform", "cpu_count", "threads", "accelerator")) for item in made}
    notes = [f"Runs of {len(codes)} versions of the code."] if len(codes) > 1 else []
    if len(machines) > 1:
        notes.append(f"Runs on {len(machines)} kinds of machine or numbers of threads: seconds do not compare.")
    return notes


def _ratio(error: float, reference: float | None) -> str:
    return "" if reference is None else f"{error / reference:.2f}"


def _mean(runs: Sequence[dict[str, Any]], *keys: str) -> float:
    values = []
    for run in runs:
        value: Any = run
        for key in keys:
            value = value[key]
        values.append(value)
    return float(np.mean(values))
