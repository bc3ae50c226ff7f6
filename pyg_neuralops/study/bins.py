"""Errors in bins of a number that every test sample has, such as a diffusivity."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..data import MeshData
from .table import mean_cell
from .writers import WRITERS, Cell


def constants(samples: Sequence[MeshData], names: Sequence[str]) -> dict[str, list[float]]:
    """The input channels (of ``x``, called ``names``) that are constant in every sample and differ among samples.

    Returns:
        By name, the value in each sample.
    """
    spans = []
    for sample in samples:
        if sample.get("x") is None or sample.x.shape[1] != len(names):
            return {}
        spans.append(torch.stack(sample.x.aminmax(dim=0)))  # [2, F]
    low, high = torch.stack(spans, 1)
    kept = (low == high).all(0) & (low.amin(0) < low.amax(0))
    return {name: low[:, index].tolist() for index, name in enumerate(names) if kept[index]}


def in_bins(results: dict[str, Any], by: str, edges: Sequence[float] = ()) -> dict[str, Any]:
    """Mean test errors in bins of the constant ``by``, for every row of a table.

    Args:
        results: as :func:`.comparison.compare` returns them.
        edges: between bins, ascending; terciles of the test samples by default.

    Returns:
        ``edges``, ``counts`` of samples by bin, and ``rows``: by model or baseline a list over seeds of errors by bin,
        None where a bin has no defined error.

    Raises:
        ValueError: if the test samples have no such constant; says which they have.
    """
    known = results.get("test_constants", {})
    if by not in known:
        raise ValueError(f"by={by!r} is no input channel that is constant in each sample; choose from {sorted(known)}")
    values = np.array(known[by])
    edges = list(edges) or np.quantile(values, [1 / 3, 2 / 3]).tolist()
    place = np.searchsorted(edges, values, side="right")
    rows: dict[str, list[list[float | None]]] = {}
    found = [(name, b) for name, b in results["baselines"].items() if "test" in b]
    for name, run in [*found, *((run["model"], run) for run in results["runs"])]:
        errors = np.array([np.nan if error is None else error for error in run["test"]["per_sample"]], float)
        errors[run["test"]["infinite"]["indices"]] = np.inf
        means = [errors[(place == bin) & ~np.isnan(errors)] for bin in range(len(edges) + 1)]
        rows.setdefault(name, []).append([float(part.mean()) if len(part) else None for part in means])
    counts = np.bincount(place, minlength=len(edges) + 1).tolist()
    metric = results["runs"][0]["test"]["metric"]
    return {"by": by, "metric": metric, "edges": edges, "counts": counts, "rows": rows}


def bin_table(found: dict[str, Any], format: str = "markdown") -> str:
    """What :func:`in_bins` found as a table: a column a bin, mean ± sample deviation over seeds."""
    edges = [f"{edge:.3g}" for edge in found["edges"]]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
    head = [f"under {edges[0]}", *between, f"{edges[-1]} and up"]
    head = [f"{name} ({count})" for name, count in zip(head, found["counts"], strict=True)]
    rows = []
    for name, seeds in found["rows"].items():
        cells = [Cell(name, name), *(mean_cell(values, found["metric"]) for values in zip(*seeds, strict=True))]
        rows.append(cells)
    title = f"Test error in bins of {found['by']} (test samples in each)."
    return WRITERS[format]([found["by"], *head], rows, [title])
