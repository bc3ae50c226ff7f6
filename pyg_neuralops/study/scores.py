"""Metrics of a test set as result files hold them: called by their channels, summarised, plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import MeshData
from ..engine import Scores, Task, collect
from ..engine.task import CHANNEL
from ..metrics import METRICS
from ..resolve import resolve
from .own_code import code_digests

QUANTILES = (0.05, 0.25, 0.75, 0.95)


def number(value: float) -> float | None:
    """As JSON can hold it: eight digits, None for what is not finite."""
    return float(f"{value:.8g}") if math.isfinite(value) else None


def summary(errors: Tensor) -> dict[str, Any]:
    """Mean, median, sample deviation and quantiles of errors ``[S]``, and the errors themselves.

    Errors that are not defined (NaN) are kept out, and ``undefined`` says how many and which; ``infinite``, of which
    predictions were not finite. A number that does not exist then, such as a mean with an infinite error, is None.
    """
    values = errors.double().numpy()
    kept = values[~np.isnan(values)]
    with np.errstate(invalid="ignore"):  # differences of infinite errors
        found = {
            "mean": number(kept.mean()) if len(kept) else None,
            "median": number(np.median(kept)) if len(kept) else None,
            "std": number(kept.std(ddof=1)) if len(kept) > 1 else None,
            "quantiles": {str(q): number(np.quantile(kept, q)) if len(kept) else None for q in QUANTILES},
        }
    odd = {"undefined": np.isnan(values), "infinite": np.isinf(values)}
    counts = {
        name: {"count": int(where.sum()), "indices": np.flatnonzero(where).tolist()} for name, where in odd.items()
    }
    return {**found, **counts, "per_sample": [number(value) for value in values]}


def summaries(scores: Scores, names: Sequence[str], samples: Sequence[MeshData]) -> dict[str, Any]:
    """What a result holds: ``test``, the summary of the metric that selects, with its name as ``metric``, and
    ``metrics``, the summaries of the others by name.

    Args:
        scores: of ``samples``.
        names: of the channels of ``y``, for metrics of a channel; "u@1", "v@1", "u@2" ... for one time after another.
    """
    found = {name: summary(values) for name, values in scores.by_name.items()}
    if all(len(sample.y) == 1 for sample in samples):
        found |= _r2_of_values(scores, samples)
    found = dict(zip(_named(list(found), names), found.values(), strict=True))
    first = next(iter(found))
    return {"test": {"metric": first, **found.pop(first)}, "metrics": found}


def _named(metrics: Sequence[str], names: Sequence[str]) -> list[str]:
    """Metrics with the names of channels in place of their numbers, where names for all of them are known.

    Only the library's own are of channels; what a user calls "band/0" keeps its name.
    """
    matches = [CHANNEL.fullmatch(metric) for metric in metrics]
    count = 1 + max((int(match[2]) for match in matches if match), default=0)
    if len(names) > count:
        names = [name.partition("@")[0] for name in names[:count]] if all("@" in name for name in names) else []
    if len(set(names)) != count:
        return list(metrics)
    pairs = zip(metrics, matches, strict=True)
    return [f"{match[1]}/{names[int(match[2])]}" if match else metric for metric, match in pairs]


def _r2_of_values(scores: Scores, samples: Sequence[MeshData]) -> dict[str, Any]:
    """R² of numbers of whole samples over the set, a channel at a time, and its mean over channels.

    Nothing where the task does not give the absolute error of every channel, which it is made of.
    """
    y = torch.cat([sample.y for sample in samples]).double()  # [S, O]
    columns = ["mean_absolute"] if y.shape[1] == 1 else [f"mean_absolute/{channel}" for channel in range(y.shape[1])]
    if not set(columns) <= set(scores.by_name):
        return {}
    missed = torch.stack([scores[column] for column in columns], 1).double().square().sum(0)
    spread = (y - y.mean(0)).square().sum(0)
    found = 1 - missed / torch.where(y.amax(0) > y.amin(0), spread, torch.nan)
    each = {f"r2/{channel}": value for channel, value in enumerate(found)} if len(columns) > 1 else {}
    empty = summary(torch.zeros(0))
    return {name: {**empty, "mean": number(float(value))} for name, value in {"r2": found.mean(), **each}.items()}


def own_metrics(metrics: Sequence[str]) -> dict[str, str]:
    """Those of ``metrics`` that are a user's, with a digest of their code."""
    own = [name for name in metrics if ":" in name]
    for name in own:
        resolve(name, METRICS, "metric")
    return code_digests(own)


def rescored(result: Mapping[str, Any], found: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, Any]:
    """A finished ``result`` with the summaries ``found`` of further metrics ``own``.

    What is told of the training stays, and so do metrics of the user's that are not asked for now.
    """
    kept = {name: value for name, value in result["metrics"].items() if name.partition("/")[0] not in own}
    metrics = {**kept, **found["metrics"]}
    return {**result, "test": found["test"], "metrics": metrics, "own_metrics": {**result["own_metrics"], **own}}


def check_metrics(asked: Sequence[str], task: Task, samples: Sequence[MeshData], names: Sequence[str]) -> None:
    """Raise, before anything is trained, for a metric that the task does not give and nobody brings."""
    found = collect(task, [(samples[0].y, samples[0])], [name for name in asked if ":" in name])
    check_known(asked, summaries(found, names, samples[:1]))


def known_metrics(result: Mapping[str, Any]) -> list[str]:
    """Names of the metrics of one result."""
    return [result["test"]["metric"], *result["metrics"]]


def of_metric(result: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """The summary of one metric of one result."""
    return result["test"] if result["test"]["metric"] == metric else result["metrics"][metric]


def check_known(asked: Sequence[str], result: Mapping[str, Any]) -> None:
    """Raise unless a result has the metrics that are asked for."""
    known = known_metrics(result)
    channels = [name for name in known if name.startswith(f"{known[0]}/")]
    for name in asked:
        if name == "per-channel" and not channels:
            raise ValueError(f"metric 'per-channel': the target has one channel only, and {known[0]} is its error")
        if name not in known and name != "per-channel":
            raise ValueError(
                f"unknown metric {name!r}; choose from {[*known, 'per-channel'][: None if channels else -1]}"
            )
