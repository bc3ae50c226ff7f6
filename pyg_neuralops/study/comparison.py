"""``compare``: models x seeds on one dataset at a matched budget, with trivial baselines beside."""

from __future__ import annotations

import itertools
import json
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models import NeuralOperator, build_model
from .baselines import Baseline, trivial_baselines
from .data import Splits, load_splits
from .machine import check_machine
from .provenance import environment, read_json, read_result, write_json
from .report import write_report
from .run import Prepared, check_run_folder, differences, identity, prepare, train_run, unscored
from .scores import check_metrics, own_metrics, summaries
from .settings import Comparison
from .table import show

log = logging.getLogger(__name__)
# Where results and data lie and who made the data do not change a result, and models and seeds may come and go:
# each run is checked by itself.
NOT_COMPARED = ("out", "root", "workers", "models", "overrides", "seeds", "seed", "metrics")


def compare(comparison: Comparison, *, progress: bool = True) -> dict[str, Any]:
    """Run what is not done yet of a comparison, then write and return its results.

    Every run has a folder ``out/<model>/seed<k>``; one that is finished is not repeated, one that was interrupted
    goes on. So models and seeds can be added later: name the old ones too, as results are of what is asked for.
    ``out`` gets ``results.json``, ``table.md``, ``error_vs_time.png`` and ``fields.png``. The test split is read once
    per run, after its weights have been selected.

    Raises:
        ValueError: for a bad setting, or if ``out`` holds something else; its files are left as they are.
        FileNotFoundError, OSError: for data that are not there, or a folder that cannot be written.
    """
    out, start = Path(comparison.out), time.perf_counter()
    for label in comparison.models:
        check_machine(comparison.recipe(label))
    _check_folder(out, comparison)
    splits = load_splits(comparison)
    _check_folder(out, comparison, splits.info["digest"])
    # All models are built before the first is trained: a mistake in the last must not cost the others' time.
    models = {label: _build(comparison, label, splits) for label in comparison.models}
    for label, seed in _asked(comparison):
        expected = identity(splits, *comparison.model(label), comparison.recipe(label), seed)
        check_run_folder(run_folder(out, label, seed), expected)
    names = splits.info.get("names", {}).get("y", ())
    check_metrics(comparison.metrics, splits.task, splits.test, names)
    settings = {"comparison": comparison.to_dict(), "digest": splits.info["digest"]}
    write_json(out / "comparison.json", settings, of="comparison")

    own = list(own_metrics(comparison.metrics))
    baselines = trivial_baselines(splits.train, splits.val, splits.test, splits.task, own)
    known = {baseline.name: _to_dict(baseline, names, splits) for baseline in baselines}
    for name, found in known.items():
        log.info(
            "baseline %s: test error %s", name, _said(found) if "test" in found else f"n/a, {found['not_applicable']}"
        )
    results = {
        "comparison": comparison.to_dict(),
        "data": splits.info,
        "baselines": known,
        "runs": _run_all(comparison, splits, models, progress),
        "wall_seconds": time.perf_counter() - start,
        "environment": environment(),
    }
    write_json(out / "results.json", results)
    folders = {label: run_folder(out, label, comparison.seed) for label in comparison.models}
    write_report(out, results, splits, baselines, folders)
    asked = {run_folder(out, label, seed) for label, seed in _asked(comparison)}
    others = sorted(str(file.parent) for file in out.glob("*/seed*/result.json") if file.parent not in asked)
    if others:
        log.warning("not in the table, as they were not asked for: %s", ", ".join(others))
    return results


def _asked(comparison: Comparison) -> list[tuple[str, int]]:
    """The runs of a comparison: label and seed."""
    seeds = range(comparison.seed, comparison.seed + comparison.seeds)
    return list(itertools.product(comparison.models, seeds))


def _run_all(
    comparison: Comparison, splits: Splits, models: dict[str, NeuralOperator], progress: bool
) -> list[dict[str, Any]]:
    asked = _asked(comparison)
    folders = {run: run_folder(Path(comparison.out), *run) for run in asked}
    own = own_metrics(comparison.metrics)
    results = {run: read_result(folder) for run, folder in folders.items() if (folder / "result.json").exists()}
    done = {run: found for run, found in results.items() if not unscored(found, own)}
    missing = len(asked) - len(done)
    runs: list[dict[str, Any]] = []
    spent: list[float] = []
    prepared: tuple[str, Prepared] | None = None
    for label, seed in asked:
        folder = folders[label, seed]
        head = f"[{len(runs) + 1}/{len(asked)}] {label}, seed {seed}"
        if (label, seed) in done:
            runs.append({**done[label, seed], "model": label})
            log.info("%s: done before, test error %s", head, _said(runs[-1]))
            continue
        if prepared is None or prepared[0] != label:
            prepared = label, prepare(models[label], splits)
        start = time.perf_counter()
        title = f"{head}{_left(comparison.seconds, spent, missing - len(spent))}: "
        result = train_run(
            splits,
            prepared[1],
            *comparison.model(label),
            comparison.recipe(label),
            seed,
            folder,
            label=label,
            metrics=comparison.metrics,
            progress=progress,
            title=title,
        )
        runs.append(result)
        spent.append(time.perf_counter() - start)
        log.info(
            "%s: test error %s after %d epochs, %.0f s of training%s",
            head,
            _said(result),
            result["epochs"],
            result["train_seconds"],
            _left(comparison.seconds, spent, missing - len(spent)),
        )
    return runs


def _left(seconds: float | None, spent: list[float], runs: int) -> str:
    """An estimate of the time for ``runs`` more runs, in words; empty where there is nothing to go by."""
    pace = sum(spent) / len(spent) if spent else seconds
    if pace is None or runs == 0:
        return ""
    left = pace * runs
    return f" (about {left / 60:.0f} min left)" if left >= 90 else f" (about {left:.0f} s left)"


def run_folder(out: Path, label: str, seed: int) -> Path:
    """The folder of one run; a label such as "package.module:Class" becomes a portable name.

    Raises:
        ValueError: for a label that is no name, such as "..", which would lead out of ``out``.
    """
    name = re.sub(r"[^\w.-]", "_", label)
    if not name.strip("."):
        raise ValueError(f"a model is called {label!r}; a name with a letter or digit is needed")
    return out / name / f"seed{seed}"


def _build(comparison: Comparison, label: str, splits: Splits) -> NeuralOperator:
    name, kwargs = comparison.model(label)
    return build_model(name, **splits.shape, **kwargs)


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
    there = found["comparison"]
    changes = differences(*({k: v for k, v in config.items() if k not in NOT_COMPARED} for config in (there, here)))
    if changes:
        raise ValueError(f"{out} holds another comparison ({changes}); choose another folder")
    if digest is not None and found["digest"] != digest:
        raise ValueError(f"{out} holds a comparison on other values of {comparison.dataset}; choose another folder")


def _to_dict(baseline: Baseline, names: Sequence[str], splits: Splits) -> dict[str, Any]:
    if baseline.scores is None:
        return {"not_applicable": baseline.reason}
    found = summaries(baseline.scores, names, splits.test)
    return {**found, "seconds": baseline.seconds, "remark": baseline.reason}


def _said(result: dict[str, Any]) -> str:
    return show(result["test"]["metric"], result["test"]["mean"])
