"""``transfer``: the weights of one model as the start of another of the same kind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..transforms import KNNPatches
from ..transforms.patch_settings import foreign_metric
from .arguments import constructor
from .base import NeuralOperator
from .external import External

PARTS = {"encoder": ("in_channels", "pos_dim"), "decoder": ("out_channels",)}
"""What can start anew, and the settings that may then differ."""


def transfer(
    model: NeuralOperator, weights: Mapping[str, Any], config: Mapping[str, Any], replace: Sequence[str], what: str
) -> None:
    """Copy ``weights`` (a ``state_dict``) of a model with the settings ``config`` into ``model``.

    Args:
        replace: parts of ``model`` that keep its own weights, keys of ``PARTS``.
        what: how messages start.

    Raises:
        ValueError: naming the first weight of another shape and whether replacing a part would help; naming all
            settings that differ, as the same weights mean something else with other patches or heads.
    """
    found = dict(weights)
    own = model.state_dict()
    for name, value in own.items():
        part = next((part for part in PARTS if name.split(".")[0].endswith(part)), None)
        if part in replace:
            found[name] = value
            continue
        there, here = (list(v.shape) if isinstance(v, Tensor) else v is not None for v in (found.get(name), value))
        if there != here:
            hint = f"; replace the {part} to train it anew" if part else ""
            raise ValueError(f"{what} {name} of shape {there or None}; this model needs {here}{hint}")
    known = constructor(type(model.module if isinstance(model, External) else model)).known
    defaults = {name: parameter.default for name, parameter in known.items()}
    one, two = (defaults | _in_one_form(settings) for settings in (config, json.loads(json.dumps(model.config))))
    free = {name for part in replace for name in PARTS[part]}
    if isinstance(model, External):  # sizes that its first sample will tell
        free |= {name for names in PARTS.values() for name in names if two.get(name) is None}
    other = [name for name in {**two, **one} if name not in free and one.get(name) != two.get(name)]
    if other:
        listed = ", ".join(f"{name}={one.get(name)!r}, not {two.get(name)!r}" for name in other)
        raise ValueError(f"{what} weights for {listed}; they would mean something else in this model")
    model.load_state_dict({name: found[name] for name in own})


def _in_one_form(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with patches as ``to_config`` writes them; not those with a metric of somebody else."""
    patches = config.get("patches")
    if patches is None or foreign_metric(patches) is not None:
        return dict(config)
    return {**config, "patches": KNNPatches.of(patches).to_config()}
