"""A comparison's results for the eye: ``table.md``, ``error_vs_time.png``, ``fields.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..checkpoint import load_model
from ..data import MeshData, replacing
from ..engine import predict
from ..metrics import relative_l2
from ..plotting import plot_predictions, save_figure
from .baselines import Baseline
from .data import Splits
from .table import percent, table


def write_report(
    out: Path, results: dict[str, Any], splits: Splits, baselines: Sequence[Baseline], folders: dict[str, Path]
) -> None:
    """Write the table and the figures of ``results`` into ``out``.

    Args:
        folders: by model, the folder of the run whose fields are shown.
    """
    with replacing(out / "table.md") as temporary:
        temporary.write_text(table(results))
    save_figure(error_vs_time(results, _levels(baselines, splits.val)), out / "error_vs_time.png")
    save_figure(fields(results, splits, folders), out / "fields.png")


def _levels(baselines: Sequence[Baseline], val: Sequence[MeshData] | None) -> dict[str, float]:
    """The baselines' errors on the split that the curves show."""
    return {
        b.name: float(torch.cat([relative_l2(b.predict(sample), sample.y) for sample in val]).mean())
        for b in baselines
        if b.predict is not None and val is not None
    }


def error_vs_time(results: dict[str, Any], levels: dict[str, float]) -> Figure:
    """Validation error against seconds of training, both logarithmic; a colour a model, a line a seed.

    Without a validation split the curves are training losses.
    """
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    ax = figure.subplots()
    models = list(dict.fromkeys(run["model"] for run in results["runs"]))
    validated = results["runs"][0]["best_val"] is not None
    for run in results["runs"]:
        colour = f"C{models.index(run['model'])}"
        first = run["model"] not in [text.get_label() for text in ax.get_lines()]
        seconds = [row["seconds"] for row in run["history"]]
        values = [row["val" if validated else "loss"] for row in run["history"]]
        ax.plot(seconds, values, color=colour, linewidth=1.5, label=run["model"] if first else "_", alpha=0.9)
        best = run["best_epoch"] - 1
        ax.plot(seconds[best], values[best], "o", color=colour, markersize=4)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for name, level in levels.items():
        ax.axhline(level, color="0.45", linestyle="--", linewidth=1, zorder=0)
        ax.annotate(
            name,
            (1, level),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 2),
            textcoords="offset points",
            ha="right",
            color="0.35",
            fontsize=9,
        )
    for axis in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        axis(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    ax.set_xlabel("seconds of training")
    ax.set_ylabel("relative L2 error, validation" if validated else "relative L2, training loss")
    ax.set_title(results["data"]["dataset"])
    ax.grid(which="both", alpha=0.2)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend()
    return figure


def fields(results: dict[str, Any], splits: Splits, folders: dict[str, Path]) -> Figure:
    """One test sample: that of median error of the best model."""
    best = min(results["runs"], key=lambda run: run["test"]["mean"])
    errors = best["test"]["per_sample"]
    index = sorted(range(len(errors)), key=errors.__getitem__)[len(errors) // 2]
    sample = splits.test[index]
    shown = {}
    for name, folder in folders.items():
        field = predict(load_model(folder / "best.safetensors", trust_import=True), [sample], splits.task)[0]
        shown[f"{name}\n{percent(float(relative_l2(field, sample.y)))}"] = field
    names = results["data"].get("names", {})
    figure = plot_predictions(
        sample,
        shown,
        input_name=f"input: {names['x'][0]}" if names.get("x") else "input",
        target_name=f"truth: {names['y'][-1]}" if names.get("y") else "truth",
        channel=-1,
        window=results["data"].get("window"),
    )
    return figure
