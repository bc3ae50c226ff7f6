"""``patches = {k = "auto"}`` in a study's settings becomes the K of :func:`.k_rule.choose_k`."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .data import Splits
from .k_rule import choose_k
from .provenance import read_json
from .run import SHARED
from .settings import Comparison, Recipe
from .sources import own_positions

log = logging.getLogger(__name__)
AUTO = "auto"
LARGEST, SAMPLES = 64, 512
"""The largest K that is chosen, and the most training samples that the short run learns from."""


def is_automatic(kwargs: Mapping[str, Any]) -> bool:
    """Whether a model's arguments leave K open: ``patches="auto"`` or ``patches={"k": "auto", ...}``."""
    patches = kwargs.get("patches")
    return patches == AUTO or (isinstance(patches, Mapping) and patches.get("k") == AUTO)


def with_k(kwargs: Mapping[str, Any], k: int = LARGEST) -> dict[str, Any]:
    """The arguments, with this K where it is open."""
    if not is_automatic(kwargs):
        return dict(kwargs)
    patches = kwargs["patches"]
    return {**kwargs, "patches": {**({} if patches == AUTO else patches), "k": k}}


def k_of_run(folder: Path) -> int | None:
    """The K that a run in ``folder`` was begun with; None where there is none, or it has no patches."""
    try:
        patches = read_json(folder / "run.json", of="run")["arguments"].get("patches")
    except (FileNotFoundError, ValueError):
        return None
    return patches.get("k") if isinstance(patches, Mapping) else None


def find_k(name: str, kwargs: Mapping[str, Any], splits: Splits, recipe: Recipe) -> dict[str, Any]:
    """What :func:`.k_rule.choose_k` finds on the training samples, and its seconds.

    Three epochs with patches of 64 points (or of the smallest sample's), with the recipe of the run to come; seed 0.

    Raises:
        ValueError: as :func:`.k_rule.choose_k`.
    """
    start, largest = time.perf_counter(), min(LARGEST, splits.info["nodes"][0])
    found = choose_k(
        name,
        with_k(kwargs, largest),
        splits.train[:SAMPLES],
        largest=largest,
        task=splits.task,
        recipe=dataclasses.replace(recipe, epochs=3, steps=None, seconds=None, patience=None, logger=()),
        positions=own_positions(splits.info["dataset"]),
    )
    log.info("%s: K = %d: %d for 95%% of the attention, %d to connect", name, found.k, found.by_mass, found.connected)
    return {**dataclasses.asdict(found), "seconds": time.perf_counter() - start}


def with_chosen_k(
    comparison: Comparison, splits: Splits, known: Mapping[str, Any]
) -> tuple[Comparison, dict[str, Any]]:
    """The comparison with a number for each K that it leaves open, one for all seeds, and what was found, by label.

    Args:
        known: what was found before; it stands for the same samples, arguments and recipe.

    Raises:
        ValueError: as :func:`find_k`, naming the model.
    """
    overrides, chosen = dict(comparison.overrides), {}
    for label in comparison.models:
        name, kwargs = comparison.model(label)
        if not is_automatic(kwargs):
            continue
        recipe = comparison.recipe(label)
        settings = {key: value for key, value in dataclasses.asdict(recipe).items() if key not in SHARED}
        of = {"model": name, "arguments": kwargs, "recipe": settings, "digest": splits.info["digest"]}
        of = json.loads(json.dumps(of))
        if label in known and known[label]["of"] == of:
            chosen[label] = known[label]
        else:
            try:
                chosen[label] = {**find_k(name, kwargs, splits, recipe), "of": of}
            except ValueError as error:
                raise ValueError(f"{label}: {error}") from None
        overrides[label] = with_k(overrides[label], chosen[label]["k"])
    return dataclasses.replace(comparison, overrides=overrides), chosen
