"""Trained models of a comparison's results, and what happens inside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoint import load_info, load_model
from ..data import MeshData
from ..engine import Task
from ..inside import effective_window, gate_means
from ..nn import Fusion, KNNAttention
from ..normalize import Normalized
from .own_code import import_paths
from .scores import number

WINDOW = ("distance", "attended", "near")


def trained_model(results: Mapping[str, Any], label: str, folder: Path) -> Normalized:
    """The selected weights of the run in ``folder``; a user's own code is imported only where that was asked for."""
    file = folder / "best.safetensors"
    info = load_info(file)
    classes, asked = {run["model"]: run["class"] for run in results["runs"]}, {*import_paths(results["comparison"])}
    own = info["model"] == classes[label] and {*import_paths([info["model"], info["config"]])} <= asked
    return load_model(file, trust_import=own)


def look_inside(model: Normalized, sample: MeshData, task: Task) -> dict[str, Any]:
    """``windows`` of layers and ``gates``, on the first item of a sample, as JSON has them; empty where there are none.

    A window is that of :func:`pyg_neuralops.inside.effective_window`, a number for each head.
    """
    parts = list(model.modules())
    found: dict[str, Any] = {}
    item = task.items([sample])[0]
    if any(isinstance(part, KNNAttention) for part in parts):
        found["windows"] = [
            {"layer": one.layer} | {name: [number(v) for v in getattr(one, name).tolist()] for name in WINDOW}
            for one in effective_window(model, item)
        ]
    if any(isinstance(part, Fusion) and part.mode != "concat" for part in parts):
        found["gates"] = {name: number(value) for name, value in gate_means(model, item).items()}
    return found
