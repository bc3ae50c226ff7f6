"""``run_all``: the runs of a comparison that are missing, one by one in this process or side by side."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ..executors import Processes, run_pieces
from ..models import NeuralOperator
from .data import Splits
from .pieces import Run, all_runs, run_folder, run_name, run_piece, train_piece
from .provenance import read_result
from .run import Prepared, prepare, unscored
from .scores import own_metrics
from .settings import Comparison
from .table import show

log = logging.getLogger(__name__)


def run_all(
    comparison: Comparison,
    splits: Splits,
    models: dict[str, NeuralOperator],
    jobs: int,
    executor: Executor | None,
    progress: bool,
) -> list[dict[str, Any]]:
    """The results of all runs in their order; those that are missing are made."""
    runs = all_runs(comparison)
    folders = {run: run_folder(Path(comparison.out), *run) for run in runs}
    own = own_metrics(comparison.metrics)
    results = {run: read_result(folder) for run, folder in folders.items() if (folder / "result.json").exists()}
    done = {run: {**found, "model": run[0]} for run, found in results.items() if not unscored(found, own)}
    if jobs == 1 and executor is None:
        return _one_by_one(comparison, splits, models, runs, done, progress)
    missing = {run_name(*run): run for run in runs if run not in done}
    pieces = {name: (comparison, *run) for name, run in missing.items()}
    for count, run in enumerate(done, 1):
        log.info("%s: done before, test error %s", _head(count, runs, run), said(done[run]))
    start, already = time.perf_counter(), len(done)

    def report(name: str, result: dict[str, Any]) -> None:
        run = missing[name]
        done[run] = result
        pace = (time.perf_counter() - start) / (len(done) - already)
        _log_run(_head(len(done), runs, run), result, _left(pace, len(runs) - len(done)))

    if executor is not None:
        run_pieces(executor, run_piece, pieces, report)
    elif pieces:
        with Processes(min(jobs, len(pieces))) as pool:
            run_pieces(pool, run_piece, pieces, report)
    return [done[run] for run in runs]


def _one_by_one(
    comparison: Comparison,
    splits: Splits,
    models: dict[str, NeuralOperator],
    asked: list[Run],
    done: dict[Run, dict[str, Any]],
    progress: bool,
) -> list[dict[str, Any]]:
    """In this process, and with the samples it has."""
    missing = len(asked) - len(done)
    runs: list[dict[str, Any]] = []
    spent: list[float] = []
    prepared: tuple[str, Prepared] | None = None
    for label, seed in asked:
        head = _head(len(runs) + 1, asked, (label, seed))
        if (label, seed) in done:
            runs.append(done[label, seed])
            log.info("%s: done before, test error %s", head, said(runs[-1]))
            continue
        if prepared is None or prepared[0] != label:
            prepared = label, prepare(models[label], splits)
        start = time.perf_counter()
        pace = sum(spent) / len(spent) if spent else comparison.seconds
        title = f"{head}{_left(pace, missing - len(spent))}: "
        runs.append(train_piece(comparison, label, seed, splits, prepared[1], progress=progress, title=title))
        spent.append(time.perf_counter() - start)
        _log_run(head, runs[-1], _left(sum(spent) / len(spent), missing - len(spent)))
    return runs


def _head(count: int, runs: list[Run], run: Run) -> str:
    return f"[{count}/{len(runs)}] {run_name(*run)}"


def _log_run(head: str, result: dict[str, Any], left: str) -> None:
    log.info(
        "%s: test error %s after %d epochs, %.0f s of training%s",
        head,
        said(result),
        result["epochs"],
        result["train_seconds"],
        left,
    )


def _left(pace: float | None, runs: int) -> str:
    """The time for ``runs`` more runs of ``pace`` seconds, in words; empty where there is nothing to go by."""
    if pace is None or runs == 0:
        return ""
    left = pace * runs
    return f" (about {left / 60:.0f} min left)" if left >= 90 else f" (about {left:.0f} s left)"


def said(result: dict[str, Any]) -> str:
    """The mean error over the test split, in words."""
    return show(result["test"]["metric"], result["test"]["mean"])
