"""``transfer``: how the models of a comparison do on samples of other settings than they were trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..data import MeshData, mesh_loader
from ..engine import evaluate, make_task
from ..engine.machine import compute_device
from .data import load_split, task_settings
from .pieces import all_runs, run_folder
from .provenance import environment, file_digest, read_json, write_json
from .run import check_channels
from .scores import summary
from .settings import Comparison, DataChoice
from .table import mean_cell
from .trained import trained_model
from .writers import WRITERS, Cell

FILE = "transfer.json"


def transfer(
    comparison: Comparison,
    results: Mapping[str, Any],
    choices: Mapping[str, DataChoice],
    *,
    executor: Executor | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Test every run of a finished comparison on the test split of other samples, and write ``out/transfer.json``.

    Nothing is trained or selected. What was tested before, with these weights on these samples, is not repeated.

    Args:
        comparison, results: as :func:`.comparison.compare` took and returned them.
        choices: the samples, by name.

    Returns:
        ``metric``, and ``errors``: by model, by seed (as text), by name of the samples a summary of errors.

    Raises:
        ValueError: for samples that the models cannot read.
    """
    out = Path(comparison.out)
    folders = {run: run_folder(out, *run) for run in all_runs(comparison)}
    weights = {run: file_digest(folder / "best.safetensors") for run, folder in folders.items()}
    metric = results["runs"][0]["test"]["metric"]
    kept = _before(out / FILE)
    bar = tqdm(total=len(choices) * len(folders), desc="transfer", disable=not progress, leave=False)
    for name, choice in choices.items():
        samples, info = load_split(choice, "test", executor)
        for (label, seed), folder in folders.items():
            of = {"weights": weights[label, seed], "digest": info["digest"]}
            known = kept.setdefault(label, {}).setdefault(str(seed), {})
            if known.get(name, {}).get("of") != of:
                known[name] = {**_tested(results, label, folder, comparison, samples), "of": of}
            bar.update()
        write_json(out / FILE, {"metric": metric, "errors": kept, "environment": environment()})
    bar.close()
    errors: dict[str, dict[str, dict[str, Any]]] = {}
    for label, seed in folders:
        errors.setdefault(label, {})[str(seed)] = {name: kept[label][str(seed)][name] for name in choices}
    report = {"metric": metric, "errors": errors, "environment": environment()}
    write_json(out / FILE, report)
    return report


def transfer_table(found: Mapping[str, Any], own: Mapping[str, Any], format: str = "markdown") -> str:
    """What :func:`transfer` found: a column for each set of samples, mean ± sample deviation over seeds.

    Args:
        own: results of the comparison, for the column of its own test split.
    """
    errors, metric = found["errors"], found["metric"]
    names = list(next(iter(next(iter(errors.values())).values())))
    rows = []
    for label, seeds in errors.items():
        here = [run["test"]["mean"] for run in own["runs"] if run["model"] == label]
        columns = [here, *([seed[name]["mean"] for seed in seeds.values()] for name in names)]
        rows.append([Cell(label, label), *(mean_cell(values, metric) for values in columns)])
    title = "Test errors of the same models on other samples, untrained for these."
    return WRITERS[format](["model", "as trained", *names], rows, [title])


def _tested(
    results: Mapping[str, Any], label: str, folder: Path, comparison: Comparison, samples: Sequence[MeshData]
) -> dict[str, Any]:
    recipe, task = comparison.recipe(label), make_task(**task_settings(comparison))
    model = trained_model(results, label, folder)
    check_channels(model, task, samples[0])
    loader = mesh_loader(samples, recipe.batch_size, max_nodes=recipe.max_nodes, **comparison.loading)
    return summary(evaluate(model, loader, task, compute_device(recipe.accelerator)).first)


def _before(path: Path) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return read_json(path).get("errors", {})
    return {}
