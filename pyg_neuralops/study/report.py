"""A comparison's results for the eye: tables, and curves, fields and windows as pictures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from torch import Tensor

from ..data import MeshData, replacing
from ..engine import predict, selecting
from ..metrics import defined_mean
from ..plotting import plot_predictions, save_figure
from .baselines import Baseline, score_baseline, whole
from .data import Splits
from .notes import TITLES
from .table import show, table
from .trained import trained_model


def write_report(
    out: Path, results: dict[str, Any], splits: Splits, baselines: Sequence[Baseline], folders: dict[str, Path]
) -> None:
    """Write the table and the figures of ``results`` into ``out``.

    Args:
        folders: by model, the folder of the run whose fields are shown.
    """
    for name, format in (("table.md", "markdown"), ("table.csv", "csv")):
        with replacing(out / name) as temporary:
            temporary.write_text(table(results, format))
    save_figure(error_vs_time(results, _levels(baselines, splits)), out / "error_vs_time.png")
    save_figure(fields(results, splits, folders), out / "fields.png")
    seen = windows(results["inside"])
    if seen is not None:
        save_figure(seen, out / "windows.png")
    else:
        (out / "windows.png").unlink(missing_ok=True)  # of models that were asked for before


def _levels(baselines: Sequence[Baseline], splits: Splits) -> dict[str, float]:
    """The baselines' errors on the split that the curves show."""
    return {
        b.name: float(defined_mean(score_baseline(b.predict, splits.val, splits.task).first))
        for b in baselines
        if b.predict is not None and splits.val is not None
    }


def error_vs_time(results: dict[str, Any], levels: dict[str, float]) -> Figure:
    """Validation error against seconds of training, both logarithmic; a colour a model, a line a seed.

    Without a validation split the curves are training losses. What a logarithm cannot show (0, or no number) is left
    out.
    """
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    ax = figure.subplots()
    models = list(dict.fromkeys(run["model"] for run in results["runs"]))
    validated = results["runs"][0]["best_val"] is not None
    metric = results["runs"][0]["test"]["metric"] if validated else ""
    for run in results["runs"]:
        colour = f"C{models.index(run['model'])}"
        first = run["model"] not in [text.get_label() for text in ax.get_lines()]
        seconds = [row["seconds"] for row in run["history"]]
        values = [_positive(row["val" if validated else "loss"]) for row in run["history"]]
        ax.plot(seconds, values, color=colour, linewidth=1.5, label=run["model"] if first else "_", alpha=0.9)
        best = run["best_epoch"] - 1
        ax.plot(seconds[best], values[best], "o", color=colour, markersize=4)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for name, level in levels.items():
        if math.isnan(_positive(level)):
            continue
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
        if metric.startswith("relative_"):
            axis(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
        else:
            axis(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlabel("seconds of training")
    ax.set_ylabel(f"{TITLES.get(metric, metric)}, validation" if validated else "training loss")
    ax.set_title(results["data"]["dataset"])
    ax.grid(which="both", alpha=0.2)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend()
    return figure


def windows(inside: Mapping[str, Any]) -> Figure | None:
    """How far patches attend by layer (a line a model, the mean over heads; a dot a head), and gates; None if nothing.

    Args:
        inside: by model, what :func:`.trained.look_inside` found.
    """
    seen = {name: found["windows"] for name, found in inside.items() if found.get("windows")}
    gates = {name: found["gates"] for name, found in inside.items() if found.get("gates")}
    if not seen and not gates:
        return None
    figure = Figure(figsize=(4.2 * (bool(seen) + bool(gates)), 3.4), layout="constrained")
    axes = figure.subplots(1, bool(seen) + bool(gates), squeeze=False)[0]
    for name, layers in seen.items():
        values = [layer["attended"] for layer in layers]
        places = range(1, len(values) + 1)
        (line,) = axes[0].plot(places, [statistics.fmean(heads) for heads in values], "-o", markersize=4, label=name)
        for place, heads in zip(places, values, strict=True):
            axes[0].plot([place] * len(heads), heads, ".", color=line.get_color(), alpha=0.4, markersize=4)
    if seen:
        axes[0].set(xlabel="layer", ylabel="mean attended distance / patch reach")
        axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].legend()
    for name, found in gates.items():
        axes[-1].plot(range(1, len(found) + 1), list(found.values()), "-o", markersize=4, label=name)
    if gates:
        axes[-1].set(xlabel="layer", ylabel="mean gate (1: patches alone)", ylim=(0, 1))
        axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[-1].legend()
    return figure


def _positive(value: float | None) -> float:
    return value if value is not None and 0 < value < math.inf else math.nan


def fields(results: dict[str, Any], splits: Splits, folders: dict[str, Path]) -> Figure:
    """One test sample: that of median error of the best model; of numbers of whole samples, all of them."""
    shown = splits.test if whole(splits.test) else [splits.test[middle(results)]]
    answers = {
        name: predict(trained_model(results, name, folder), shown, splits.task) for name, folder in folders.items()
    }
    names = results["data"].get("names", {})
    if whole(splits.test):
        return values_against_truth(splits.test, answers, (names.get("y") or ["y"])[-1])
    (sample,), first = shown, results["runs"][0]["test"]["metric"]
    return plot_predictions(
        sample,
        {f"{name}\n{show(first, float(selecting(splits.task, f, sample)))}": f for name, (f,) in answers.items()},
        input_name=f"input: {names['x'][0]}" if names.get("x") else "input",
        target_name=f"truth: {names['y'][-1]}" if names.get("y") else "truth",
        channel=-1,
        window=results["data"].get("window"),
    )


def middle(results: dict[str, Any]) -> int:
    """Number of the test sample at which the best model has its median error, of those that have one."""
    best = min(results["runs"], key=lambda run: math.inf if run["test"]["mean"] is None else run["test"]["mean"])
    errors = best["test"]["per_sample"]
    there = sorted((error, index) for index, error in enumerate(errors) if error is not None)
    return there[len(there) // 2][1] if there else 0


def values_against_truth(samples: Sequence[MeshData], answers: dict[str, list[Tensor]], title: str) -> Figure:
    """Predicted against true numbers of whole samples (the last channel), a colour a model."""
    figure = Figure(figsize=(5, 4.8), layout="constrained")
    ax = figure.subplots()
    truth = torch.cat([sample.y[:, -1] for sample in samples]).numpy()
    for name, found in answers.items():
        ax.plot(truth, torch.cat([answer[:, -1] for answer in found]).numpy(), "o", label=name, markersize=4, alpha=0.7)
    ax.axline((float(np.mean(truth)),) * 2, slope=1, color="0.45", linewidth=1, zorder=0)
    ax.set(xlabel=f"truth: {title}", ylabel="prediction")
    ax.legend()
    return figure
