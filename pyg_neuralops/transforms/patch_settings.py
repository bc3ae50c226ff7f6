"""Settings of patches in a checkpoint: those of older ones, and whether they name code of somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .metric_text import METRICS, metric_name

OLD = ("k", "period", "through_solid", "metric")
SHORT = {"Tensor": "Anisotropic"}  # metrics that had another name


def current_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's settings with ``patches`` in place of k, period, through_solid and metric, as checkpoints had them.

    Settings without ``through_solid`` are not of that kind and stay as they are.
    """
    if "through_solid" not in config:
        return dict(config)
    patches = {name: config[name] for name in OLD if name in config}
    metric = patches.get("metric")
    if isinstance(metric, str):
        name, bracket, rest = metric.partition("(")
        patches["metric"] = SHORT.get(name, name) + bracket + rest
    return {name: value for name, value in config.items() if name not in OLD} | {"patches": patches}


def foreign_metric(patches: Any) -> str | None:
    """The import path that the settings of patches name, if they name one. Nothing is imported.

    Raises:
        ValueError: for a metric that names nothing.
    """
    metric = patches.get("metric") if isinstance(patches, Mapping) else None
    name = None if metric is None else metric_name(metric)
    return None if name in METRICS else name
