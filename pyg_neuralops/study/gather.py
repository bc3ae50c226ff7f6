"""``gather``: results of several comparisons and runs as those of one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .provenance import read_json

SAME = ("digest", "task", "protocol")
SETTINGS = ("class", "config", "recipe", "initial")


def gather(paths: Sequence[str | os.PathLike[str]]) -> dict[str, Any]:
    """What :func:`pyg_neuralops.study.table.table` reads, from result files or the folders that they lie in.

    A run is called as it was in its comparison; where another of that name has other settings, with its folder.

    Raises:
        FileNotFoundError: for what is not there.
        ValueError: for files that are no results, were scored on different samples, or hold two different results of
            one model and seed.
    """
    if not paths:
        raise ValueError("no runs are given; name folders of compare or train, or their result files")
    runs: list[dict[str, Any]] = []
    baselines: dict[str, Any] = {}
    first: tuple[Path, dict[str, Any]] | None = None
    for path in map(_file, paths):
        found = read_json(path)
        _check(path, found)
        data = found["data"]
        if first is None:
            first = path, data
        for name in SAME:
            if data.get(name) != first[1].get(name):
                what = f"{name} {first[1].get(name)!r} and {data.get(name)!r}"
                raise ValueError(f"{first[0]} and {path} are not of the same test samples ({what}); a table needs that")
        for run in found.get("runs", [found]):
            _add(runs, run, path)
        baselines = {**found.get("baselines", {}), **baselines}
    assert first is not None
    shown = found.get("comparison", {}) if len(paths) == 1 else {}
    return {"comparison": shown, "data": first[1], "runs": runs, "baselines": baselines}


def _file(path: str | os.PathLike[str]) -> Path:
    place = Path(path)
    if not place.is_dir():
        if not place.is_file():
            raise FileNotFoundError(f"no file or folder {place}")
        return place
    for name in ("results.json", "result.json"):
        if (place / name).is_file():
            return place / name
    raise ValueError(f"{place} holds no results.json or result.json; compare or train it first")


def _check(path: Path, found: Any) -> None:
    """Raise unless ``found`` has the entries that a table reads."""
    runs = found.get("runs", [found]) if isinstance(found, dict) else []
    complete = isinstance(runs, list) and runs and isinstance(found.get("data"), dict)
    needed = ("model", "seed", "test", "metrics", "parameters", "environment", *SETTINGS)
    for run in runs if complete else []:
        complete = complete and isinstance(run, dict) and all(name in run for name in needed)
        complete = complete and isinstance(run["test"], dict) and "metric" in run["test"]
    if not complete:
        raise ValueError(f"{path} is no result of compare or train of this version; run it again to make one")


def _add(runs: list[dict[str, Any]], run: dict[str, Any], path: Path) -> None:
    name = run["model"]
    for label in (name, f"{name} ({path.parent.name})", f"{name} ({path.parent})"):
        same = [other for other in runs if other["model"] == label]
        if all(other[key] == run[key] for other in same for key in SETTINGS):
            break
    else:
        raise ValueError(f"{path} holds another {label!r} than a file before it; move one of them to another folder")
    for other in same:
        if other["seed"] == run["seed"]:
            if {**other, "model": ""} != {**run, "model": ""}:
                raise ValueError(f"{path} holds {label!r} with seed {run['seed']}, of which there is another result")
            return
    runs.append({**run, "model": label})
