"""``train_run``: one model, one seed, from samples to ``result.json``."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from ..checkpoint import start_from
from ..data import MeshData, mesh_loader
from ..engine import Task, evaluate, fit, make_logger
from ..engine.estimate import estimate
from ..engine.loggers import Logger
from ..engine.machine import make_fabric
from ..engine.ranks import Ranks
from ..models import NeuralOperator, build_model
from ..normalize import Normalized
from ..recipe import MACHINE
from .data import Splits
from .fitted import fitted
from .notes import FEW
from .on_disk import FileSamples
from .own_code import code_digests
from .prepared_samples import PreparedSamples
from .provenance import environment, file_digest, read_json, read_result, write_json
from .scores import check_metrics, own_metrics, rescored, summaries
from .settings import Recipe
from .sources import own_positions

log = logging.getLogger(__name__)
GROUPS = ("arguments", "recipe", "code")
SHARED = (*(name for name in MACHINE if name != "accelerator"), "logger")
"""Settings of a recipe that are no part of what a run comes to."""


@dataclass(frozen=True)
class Prepared:
    """Samples with the patches and edges of one model, and the seconds that took.

    Those on disk get them when they are first asked for, which these seconds do not count.
    """

    train: Sequence[MeshData]
    val: Sequence[MeshData] | None
    test: Sequence[MeshData]
    seconds: float


def prepare(model: NeuralOperator, splits: Splits) -> Prepared:
    """Build what ``model`` needs, once per sample; of samples on disk, as they are asked for."""

    def each(samples: Sequence[MeshData]) -> Sequence[MeshData]:
        if isinstance(samples, FileSamples):
            return PreparedSamples(samples, model)
        return [model.prepare(copy.copy(sample)) for sample in samples]

    start = time.perf_counter()
    train, test = each(splits.train), each(splits.test)
    val = None if splits.val is None else each(splits.val)
    return Prepared(train, val, test, time.perf_counter() - start)


def check_channels(model: Normalized, task: Task, sample: MeshData) -> None:
    """Raise unless ``model`` reads what the task makes of this sample, and predicts as many channels as it has."""
    sample = cast(MeshData, task.items([sample])[0])
    config = {name: getattr(model.model, name) for name in ("in_channels", "out_channels", "pos_dim")}
    here = {"in_channels": sample.in_channels, "pos_dim": sample.pos.shape[1]}
    if sample.get("y") is not None:
        here["out_channels"] = sample.y.shape[1]
    for name, value in here.items():
        if config[name] not in (None, value):
            raise ValueError(f"the data have {name}={value}; the model was trained with {name}={config[name]}")


def differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """What differs between two settings, in words: "epochs=3 there, 4 here; ..."; empty where nothing does."""
    flat: list[dict[str, Any]] = []
    for settings in (there, here):
        groups = [settings.get(name) or {} for name in GROUPS]
        outer = {name: value for name, value in settings.items() if name not in GROUPS}
        flat.append({**outer, **groups[0], **groups[1], **groups[2]})
    names = [name for name in {**flat[0], **flat[1]} if flat[0].get(name) != flat[1].get(name)]
    return "; ".join(f"{name}={flat[0].get(name)!r} there, {flat[1].get(name)!r} here" for name in names)


def _modes(recipe: Recipe, splits: Splits) -> dict[str, str]:
    return recipe.modes(own_positions(splits.info["dataset"]))


def _resolved(recipe: Recipe, splits: Splits) -> dict[str, Any]:
    """What is written of a recipe: that of positions by name, as what a dataset prefers may change."""
    return {**dataclasses.asdict(recipe), "normalize_pos": _modes(recipe, splits)["pos"]}


def identity(
    splits: Splits, name: str, kwargs: dict[str, Any], recipe: Recipe, seed: int, initial: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What makes a run this run. The code's version and the machine are in its result, and are not compared.

    A user's own model, dataset, task, optimizer and patch metric count with their code
    (:func:`.own_code.code_digests`).
    """
    settings = {key: value for key, value in _resolved(recipe, splits).items() if key not in SHARED}
    found = {"class": name, "arguments": kwargs, "recipe": settings, "seed": seed}
    found |= {name: splits.info[name] for name in ("digest", "protocol", "sizes")}
    if splits.info["task"] != {"name": "steady"}:
        found["task"] = splits.info["task"]
    own = code_digests(name, kwargs, splits.info["dataset"], splits.info["task"], recipe.optimizer)
    if own:
        found["code"] = {f"code of {path}": digest for path, digest in own.items()}
    if initial is not None:
        found["initial"] = initial
    return found


def check_run_folder(out: Path, expected: dict[str, Any] | None = None) -> None:
    """Raise if ``out`` holds files of something else than a run, or of another run than the ``expected``.

    A damaged ``run.json`` is written again: the run's other files know what they belong to.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / "run.json").is_file():
        raise ValueError(f"{out} is not empty and holds no run; choose another folder")
    if expected is not None and (out / "run.json").exists():
        try:
            there = read_json(out / "run.json", of="run")
        except ValueError as error:
            if not any((out / name).exists() for name in ("last.ckpt", "result.json")):
                raise
            log.warning("%s; it is made again", error)
            write_json(out / "run.json", expected, of="run")
            return
        changes = differences(there, json.loads(json.dumps(expected)))
        if changes:
            raise ValueError(f"{out} holds another run ({changes}); choose another folder or label")


def unscored(result: dict[str, Any], own: dict[str, str]) -> bool:
    """Whether a result lacks a user's own metric, or has it from other code; ``own`` as :func:`own_metrics`."""
    return any(result["own_metrics"].get(name) != digest for name, digest in own.items())


def assembled(
    splits: Splits,
    prepared: Prepared,
    name: str,
    kwargs: dict[str, Any],
    recipe: Recipe,
    seed: int,
    initial: str | None = None,
    replace: Sequence[str] = (),
) -> tuple[Normalized, DataLoader, DataLoader | None]:
    """The model with its normalisers, and the loaders, that :func:`train_run` trains and selects with."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inner = build_model(name, **splits.shape, **kwargs)
    if initial is not None:
        start_from(inner, initial, replace)
    model = fitted(inner, prepared.train, splits.task, _modes(recipe, splits))
    loading = {"batch_size": recipe.batch_size, "max_nodes": recipe.max_nodes, **splits.loading}
    train = mesh_loader(splits.task.items(prepared.train), **loading, shuffle=True, seed=seed)
    return model, train, None if prepared.val is None else mesh_loader(prepared.val, **loading)


def train_run(
    splits: Splits,
    prepared: Prepared,
    name: str,
    kwargs: dict[str, Any],
    recipe: Recipe,
    seed: int,
    out: Path,
    *,
    label: str | None = None,
    initial: str | None = None,
    replace: Sequence[str] = (),
    metrics: Sequence[str] = (),
    fabric: Fabric | None = None,
    progress: bool = True,
    title: str = "",
) -> dict[str, Any]:
    """Train, select, and score the test split with the weights selected; a finished run is read from its file.

    A finished run that has not been scored by one of ``metrics`` reads the test split again for that, with the same
    weights: it is not trained, and nothing is selected anew; ``scored_with`` is the environment of that.

    Args:
        splits, prepared: the samples, as they are and as this model needs them.
        name, kwargs: of :func:`pyg_neuralops.models.build_model`.
        recipe, seed, out: how, with which random numbers, and the run's folder.
        label: what the model is called in tables; ``name`` by default.
        initial, replace: a checkpoint whose weights to start from, and the parts to start anew
            (:func:`pyg_neuralops.checkpoint.start_from`).
        metrics: further ones by import path, beside the task's own.
        fabric: one that has been launched, in place of what the recipe says of devices.
        progress, title: the bar.

    Returns:
        What ``result.json`` holds; see the keys below.
    """
    recipe = recipe.for_model(name)
    if fabric is None:
        fabric = make_fabric(recipe)
        fabric.launch()
    ranks = Ranks(fabric)
    origin = None if initial is None else {"checkpoint": file_digest(initial), "replace": sorted(replace)}
    this = identity(splits, name, kwargs, recipe, seed, origin)
    path = out / "result.json"
    names = splits.info.get("names", {}).get("y", ())
    check_metrics(metrics, splits.task, splits.test, names)
    own = own_metrics(metrics)

    def begin() -> dict[str, Any] | None:
        check_run_folder(out, this)
        found = read_result(out) if path.exists() else None
        if found is None or unscored(found, own):
            write_json(out / "run.json", this, of="run")
        return found

    found = ranks.first(begin)
    if found is not None and not unscored(found, own):
        return found
    start = time.perf_counter()
    model, train, val = assembled(splits, prepared, name, kwargs, recipe, seed, initial, replace)
    task = splits.task
    loggers: list[Logger] = []
    ranks.first(lambda: loggers.extend(make_logger(name, out) for name in recipe.logger))
    if ranks.first(lambda: not (out / "last.ckpt").exists()):
        expected = estimate(model, train, task, recipe, ranks, seed)
        few = label is not None and expected.steps < FEW and ranks.rank == 0
        said = f"; under {FEW:,} steps are seldom enough to compare models" if few else ""
        log.log(logging.WARNING if few else logging.INFO, "%s: %s%s", label or name, expected, said)
    result = fit(
        model,
        train,
        val,
        recipe,
        out=out,
        task=task,
        fabric=fabric,
        loggers=loggers,
        seed=seed,
        progress=progress,
        label=title,
        info={"data": splits.info, "seed": seed},
    )
    test = mesh_loader(prepared.test, recipe.batch_size, max_nodes=recipe.max_nodes, **splits.loading)
    scores = evaluate(model, test, task, fabric.device, list(own), ranks)
    errors = summaries(scores, names, splits.test)

    def write(report: dict[str, Any]) -> dict[str, Any]:
        ranks.first(lambda: write_json(path, report, of=this))
        return report

    if found is not None:
        report = {**rescored(found, errors, own), "scored_with": environment()}
        return write(report)
    report = {
        "model": label or name,
        "class": name,
        "config": model.model.config,
        "recipe": {**_resolved(recipe, splits), "logger": list(recipe.logger)},
        "seed": seed,
        "initial": origin,
        "data": splits.info,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        **errors,
        "own_metrics": own,
        "best_epoch": result.best_epoch,
        "best_val": result.best_val,
        "epochs": len(result.history),
        "train_seconds": result.seconds,
        "seconds_per_epoch": result.seconds / len(result.history),
        "preparation_seconds": prepared.seconds,
        "wall_seconds": time.perf_counter() - start,
        "peak_memory_bytes": result.peak_memory,
        "resumed": result.resumed,
        "history": result.history,
        "devices": ranks.size,
        "environment": environment(),
    }
    return write(report)
