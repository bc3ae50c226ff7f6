"""``compare``: models x seeds on one dataset at a matched budget, with trivial baselines beside."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import torch

from ..engine.loggers import LOGGERS
from ..engine.machine import check_machine
from ..recipe import Count
from ..resolve import resolve
from ..typed import typed
from .automatic_k import with_chosen_k
from .baselines import Baseline, trivial_baselines
from .bins import constants
from .data import Splits, load_splits
from .notes import untrained
from .pieces import all_runs, build, run_folder
from .provenance import environment, read_json, write_json
from .report import middle, write_report
from .run import SHARED, check_run_folder, differences, identity
from .running import run_all, said
from .scores import check_metrics, own_metrics, summaries
from .settings import Comparison
from .trained import look_inside, trained_model

log = logging.getLogger(__name__)
# Where results and data lie, who made the data and how they are loaded do not change a result, and models and seeds may
# come and go: each run is checked by itself.
LOADING = ("root", "workers", "loader_workers", "pin_memory")
MOST_NODES = 20_000
"""Of a sample on which models are looked into, where attention stands edge by edge."""
NOT_COMPARED = ("out", *LOADING, "models", "overrides", "seeds", "seed", "metrics", *SHARED)


def compare(
    comparison: Comparison, *, jobs: int = 1, executor: Executor | None = None, progress: bool = True
) -> dict[str, Any]:
    """Run what is not done yet of a comparison, then write and return its results.

    Every run has a folder ``out/<model>/seed<k>``; one that is finished is not repeated, one that was interrupted
    goes on. So models and seeds can be added later: name the old ones too, as results are of what is asked for.
    ``out`` gets ``results.json``, ``table.md``, ``error_vs_time.png``, ``fields.png`` and, with
    patches or gates, ``windows.png``. The test split is read once
    per run, after its weights have been selected.

    Args:
        comparison: what is compared with what.
        jobs: runs at a time. 1 works in this process; more are processes of one thread each, which load the samples
            themselves. The results do not depend on it if one thread computes them either way; seconds do, as processes
            share the machine.
        executor: where to run, and to generate samples that are not there yet, instead; anything with ``submit`` whose
            workers see the same files, such as :func:`pyg_neuralops.executors.cluster_executor`. In threads of one
            process runs wait for each other.
        progress: bars, with ``jobs=1``.

    Raises:
        ValueError: for a bad setting, or if ``out`` holds something else; its files are left as they are.
        FileNotFoundError, OSError: for data that are not there, or a folder that cannot be written.
        RuntimeError: also for a worker that died; started again, the comparison goes on.
            With more than one job, the error of a run names it, and comes once the runs in progress are done (a cluster
            goes on with those by itself: started again within that time, the comparison waits for them a minute each).
    """
    jobs = typed(jobs, Count, "jobs")
    if jobs > 1 and executor is not None:
        raise ValueError(f"jobs={jobs} and an executor; give one of them")
    if (comparison.devices or 1) * comparison.num_nodes > 1 or torch.distributed.is_torchelastic_launched():
        raise ValueError(
            f"devices={comparison.devices}, num_nodes={comparison.num_nodes}; a comparison trains each model on one "
            "device: use jobs for several runs at a time, or `train` for one run on several devices"
        )
    out, start = Path(comparison.out), time.perf_counter()
    for label in comparison.models:
        check_machine(comparison.recipe(label))
        for name in comparison.recipe(label).logger:
            resolve(name, LOGGERS, "logger")
    _check_folder(out, comparison)
    splits = load_splits(comparison, executor)
    _check_folder(out, comparison, splits.info["digest"])
    names = splits.info.get("names", {}).get("y", ())
    check_metrics(comparison.metrics, splits.task, splits.test, names)
    # All models are built before the first is trained: a mistake in the last must not cost the others' time.
    models = {label: build(comparison, label, splits) for label in comparison.models}
    comparison, chosen = with_chosen_k(comparison, splits, _chosen_before(out))
    models |= {label: build(comparison, label, splits) for label in chosen}
    for label, seed in all_runs(comparison):
        expected = identity(splits, *comparison.model(label), comparison.recipe(label), seed)
        check_run_folder(run_folder(out, label, seed), expected)
    settings = {"comparison": comparison.to_dict(), "digest": splits.info["digest"]}
    settings["chosen_k"] = {**_chosen_before(out), **chosen}
    write_json(out / "comparison.json", settings, of="comparison")

    own = list(own_metrics(comparison.metrics))
    baselines = trivial_baselines(splits.train, splits.val, splits.test, splits.task, own)
    known = {baseline.name: _to_dict(baseline, names, splits) for baseline in baselines}
    for name, found in known.items():
        log.info(
            "baseline %s: test error %s", name, said(found) if "test" in found else f"n/a, {found['not_applicable']}"
        )
    results = {
        "comparison": comparison.to_dict(),
        "data": splits.info,
        "chosen_k": chosen,
        "inside": {},
        "baselines": known,
        "runs": run_all(comparison, splits, models, jobs, executor, progress),
        "wall_seconds": time.perf_counter() - start,
        "environment": environment(),
    }
    results["test_constants"] = constants(splits.test, splits.info.get("names", {}).get("x", ()))
    write_json(out / "results.json", results)
    folders = {label: run_folder(out, label, comparison.seed) for label in comparison.models}
    shown = splits.test[middle(results)]
    if shown.num_nodes <= MOST_NODES:
        results["inside"] = {
            label: look_inside(trained_model(results, label, folder), shown, splits.task)
            for label, folder in folders.items()
        }
        write_json(out / "results.json", results)
    for note in untrained(results):
        log.warning("%s", note)
    write_report(out, results, splits, baselines, folders)
    asked = {run_folder(out, label, seed) for label, seed in all_runs(comparison)}
    others = sorted(str(file.parent) for file in out.glob("*/seed*/result.json") if file.parent not in asked)
    if others:
        log.warning("not in the table, as they were not asked for: %s", ", ".join(others))
    return results


def _check_folder(out: Path, comparison: Comparison, digest: str | None = None) -> None:
    """Raise unless ``out`` is new, empty, or holds a comparison at this budget (on these very data)."""
    folders: dict[str, str] = {}
    for label in comparison.models:
        name = run_folder(out, label, 0).parent.name.casefold()
        if name in folders:
            raise ValueError(f"models {folders[name]!r} and {label!r} would share the folder {name!r}; rename one")
        folders[name] = label
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "comparison.json").is_file():
        raise ValueError(f"{out} is not empty and holds no comparison; choose another folder")
    try:
        found = read_json(out / "comparison.json", of="comparison")
    except ValueError as error:
        if not any(out.glob("*/seed*/run.json")):
            raise
        log.warning("%s; it is made again, as every run in there knows what it belongs to", error)
        return
    here = json.loads(json.dumps(comparison.to_dict()))
    # Fields that are younger than the folder had their defaults.
    there = {**json.loads(json.dumps(_defaults())), **found["comparison"]}
    changes = differences(*({k: v for k, v in config.items() if k not in NOT_COMPARED} for config in (there, here)))
    if changes:
        raise ValueError(f"{out} holds another comparison ({changes}); choose another folder")
    if digest is not None and found["digest"] != digest:
        raise ValueError(f"{out} holds a comparison on other values of {comparison.dataset}; choose another folder")


def _defaults() -> dict[str, Any]:
    return {item.name: item.default for item in fields(Comparison) if item.default is not MISSING}


def _chosen_before(out: Path) -> dict[str, Any]:
    """What an earlier start found for K, by label."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return read_json(out / "comparison.json", of="comparison").get("chosen_k", {})
    return {}


def _to_dict(baseline: Baseline, names: Sequence[str], splits: Splits) -> dict[str, Any]:
    if baseline.scores is None:
        return {"not_applicable": baseline.reason}
    found = summaries(baseline.scores, names, splits.test)
    return {**found, "seconds": baseline.seconds, "remark": baseline.reason}
