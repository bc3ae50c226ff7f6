"""The table of a comparison, from its results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .notes import notes
from .scores import check_known, known_metrics, of_metric
from .significance import paired_t, signed_rank
from .writers import WRITERS, Cell

HIGHER = ("r2",)


def percent(error: float | None) -> str:
    """``0.03217 -> "3.22%"``; two digits of what is small; "n/a" for what there is not."""
    if error is None or math.isnan(error):
        return "n/a"
    if 0 < abs(error) < 1e-3:
        return f"{100 * error:.2g}%"
    return (
        f"{100 * error:.2f}%"
        if abs(error) < 0.1
        else f"{100 * error:.1f}%"
        if abs(error) < 1e4
        else f"{100 * error:.3g}%"
    )


def show(metric: str, value: float | None) -> str:
    """A value of a metric: parts of 1 as percent, others as numbers."""
    if metric.startswith("relative_"):
        return percent(value)
    return "n/a" if value is None or math.isnan(value) else f"{value:.4g}"


def table(results: dict[str, Any], format: str = "markdown", metrics: Sequence[str] = ()) -> str:
    """Models and baselines by their mean test error, best first; means over seeds, with their sample deviation.

    "vs best trivial" is the error over that of the best trivial baseline: below 1 something was learned. "p" is of a
    paired test against the first model.

    Args:
        results: as :func:`pyg_neuralops.study.compare` returns and ``gather`` reads them.
        format: "markdown", "csv" (numbers instead of text), "latex" or "html".
        metrics: those to show, the first decides; the one that selects the weights by default. "per-channel" stands
            for that one and its worst channel.

    Raises:
        ValueError: for an unknown format or metric; says what there is.
    """
    if format not in WRITERS:
        raise ValueError(f"format={format!r}; choose from {list(WRITERS)}")
    metrics = metrics or results.get("comparison", {}).get("metrics") or ()
    for found in [*results["runs"], *(b for b in results["baselines"].values() if "test" in b)]:
        check_known(metrics, found)
    first = results["runs"][0]["test"]["metric"]
    asked = [name for metric in metrics for name in ((first, metric) if metric == "per-channel" else (metric,))]
    asked = list(dict.fromkeys(asked)) or [first]
    head, rows = _rows(results, asked)
    return WRITERS[format](head, rows, notes(results, _plain(results, asked), head))


def mean_cell(values: Sequence[float | None], metric: str) -> Cell:
    """Mean ± sample deviation over seeds; "n/a" where one of them has no value."""
    kept = [value for value in values if value is not None]
    if not kept or len(kept) < len(values):
        return Cell("n/a")
    mean, spread = float(np.mean(kept)), float(np.std(kept, ddof=1)) if len(kept) > 1 else None
    text = "" if spread is None else f" ± {show(metric, spread).removesuffix('%')}"
    return Cell(show(metric, mean) + text, mean, spread)


def _rows(results: dict[str, Any], asked: Sequence[str]) -> tuple[list[str], list[list[Cell]]]:
    trivial = {name: found for name, found in results["baselines"].items() if "test" in found}
    lead = asked[0]
    sign = -1 if lead.partition("/")[0] in HIGHER else 1
    levels = [value for found in trivial.values() if (value := _mean([found], lead)) is not None]
    reference = min(levels, default=None) if sign > 0 else None
    models = list(dict.fromkeys(run["model"] for run in results["runs"]))
    runs = {model: [run for run in results["runs"] if run["model"] == model] for model in models}
    names = [
        "test error" if name == lead and len(asked) == 1 else "worst channel" if name == "per-channel" else name
        for name in asked
    ]
    tests = _tests(runs, lead) if len(models) > 1 else {}
    head = ["model", names[0], "median", *names[1:], "vs best trivial", *tests]
    head += ["parameters", "s/epoch", "epochs", "training s", "peak MB"]
    rows: list[tuple[float, list[Cell]]] = []
    for name, found, plain in [
        *((n, [b], True) for n, b in trivial.items()),
        *((n, r, False) for n, r in runs.items()),
    ]:
        error = _mean(found, lead)
        errors = [_error(found, metric) for metric in asked]
        median = _average([of_metric(run, lead)["median"] for run in found])
        ratio = error / reference if error is not None and reference else None
        cells = [Cell(name, name, trivial=plain), errors[0]]
        cells += [Cell(show(lead, median) if median is not None else "", median), *errors[1:]]
        cells += [Cell("" if ratio is None else f"{ratio:.2f}", ratio)]
        cells += [Cell() if plain else test.get(name, Cell()) for test in tests.values()]
        cells += [Cell()] * 5 if plain else _costs(found)
        rows.append((math.inf if error is None else sign * error, cells))
    return head, [cells for _, cells in sorted(rows, key=lambda row: row[0])]


def _average(values: Sequence[float | None]) -> float | None:
    return None if not values or any(value is None for value in values) else float(np.mean(values))  # type: ignore[arg-type]


def _mean(runs: Sequence[dict[str, Any]], metric: str) -> float | None:
    return _average([of_metric(run, metric)["mean"] for run in runs])


def _plain(results: dict[str, Any], asked: Sequence[str]) -> list[str]:
    """Names of metrics, with those of all channels in place of "per-channel"."""
    known = known_metrics(results["runs"][0])
    channels = [name for name in known if name.startswith(f"{known[0]}/")]
    return list(dict.fromkeys(one for name in asked for one in (channels if name == "per-channel" else [name])))


def _error(runs: Sequence[dict[str, Any]], metric: str) -> Cell:
    """Mean over seeds and their sample deviation; of several channels, those of the worst."""
    channel = ""
    if metric == "per-channel":
        metric = max(_plain({"runs": runs}, [metric]), key=lambda name: _badness(runs, name))
        channel = f" ({metric.partition('/')[2]})"
    found = [of_metric(run, metric) for run in runs]
    left_out = max(one["undefined"]["count"] for one in found)
    means = [one["mean"] for one in found]
    mean = _average(means)
    if mean is None:
        infinite = any(one["infinite"]["count"] for one in found)
        return Cell(("inf" if infinite else "n/a") + channel, left_out=left_out)
    spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
    shown = show(metric, spread).removesuffix("%") if metric.startswith("relative_") else f"{spread or 0:.2g}"
    text = "" if spread is None else f" ± {shown}"
    return Cell(show(metric, mean) + text + channel, mean, spread, left_out)


def _badness(runs: Sequence[dict[str, Any]], metric: str) -> float:
    """The mean error; a channel that is zero in all samples is not bad, one that is predicted as infinite is."""
    mean = _mean(runs, metric)
    if mean is None:
        return math.inf if any(of_metric(run, metric)["infinite"]["count"] for run in runs) else -math.inf
    return mean


def _costs(runs: Sequence[dict[str, Any]]) -> list[Cell]:
    epoch, epochs, seconds = (
        float(np.mean([run[name] for run in runs])) for name in ("seconds_per_epoch", "epochs", "train_seconds")
    )
    parameters, peak = runs[0]["parameters"], max(run["peak_memory_bytes"] for run in runs) / 1e6
    return [
        Cell(f"{parameters:,}", parameters),
        Cell(f"{epoch:.3g}", epoch),
        Cell(f"{epochs:.0f}", epochs),
        Cell(f"{seconds:.0f}", seconds),
        Cell(f"{peak:.0f}", peak),
    ]


def _tests(runs: dict[str, list[dict[str, Any]]], metric: str) -> dict[str, dict[str, Cell]]:
    """p values against the first model by the column's name and the model's."""

    def per_sample(found: Sequence[dict[str, Any]]) -> np.ndarray:
        rows = []
        for run in found:
            summary = of_metric(run, metric)
            row = np.array([np.nan if value is None else value for value in summary["per_sample"]], float)
            row[summary["infinite"]["indices"]] = np.inf
            rows.append(row)
        return np.mean(rows, axis=0)

    def by_seed(found: Sequence[dict[str, Any]]) -> dict[int, float]:
        means = {run["seed"]: of_metric(run, metric)["mean"] for run in found}
        return {seed: mean for seed, mean in means.items() if mean is not None}

    base, *others = runs
    tests: dict[str, dict[str, Cell]] = {"p": {}, "p (seeds)": {}}
    for name in others:
        one, two = by_seed(runs[base]), by_seed(runs[name])
        shared = sorted(one.keys() & two.keys())
        found = {
            "p": signed_rank(per_sample(runs[base]), per_sample(runs[name])),
            "p (seeds)": paired_t([one[seed] for seed in shared], [two[seed] for seed in shared]),
        }
        for test, p in found.items():
            if p is not None:
                tests[test][name] = Cell("<0.001" if p < 1e-3 else f"{p:.2g}", p)
    return {test: cells for test, cells in tests.items() if cells}
