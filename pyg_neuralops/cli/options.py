"""Options that commands share, and name=value pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..recipe import BUDGETS, Count, Positive
from ..study.settings import DataChoice, Geometry, Recipe, Seed


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    num_samples: int | None = None
    """Samples to generate, all splits together."""
    points: int | None = None
    """Points per sample, about (irregular sets)."""
    resolution: int | None = None
    """Nodes per side (gridded sets)."""
    data_seed: int | None = None
    """Seed of the generator."""
    source: str | None = None
    """auto: official files where there are any; official; generated."""
    data_args: tuple[str, ...] = ()
    """Further arguments of the dataset, as name=value."""
    protocol: Literal["standard", "paper"] = "standard"
    """standard: select on val, read test once; paper: no val, keep the last epoch."""
    split_seed: Seed = 0
    """Fixes the random split of data that bring none."""
    task: str | None = None
    """steady, steady-gradient, next-frame, time-query, graph-value or package.module:Class; by default the
    dataset's own."""
    task_args: tuple[str, ...] = ()
    """Arguments of the task, as name=value."""
    inputs: tuple[Geometry, ...] = ()
    """Channels of the geometry to append to x: boundary-distance, boundary-marks, local-spacing, normals."""
    without: tuple[str, ...] = ()
    """Names of input channels to leave out."""
    root: str | None = None
    """Folder of the data, or of a file's cache."""
    workers: int | None = None
    """Processes that generate; all cores by default."""
    cluster: str | None = None
    """Address of a Dask scheduler, such as tcp://localhost:8786, whose workers generate, and for compare also train."""
    on_disk: bool = False
    """Leave the samples in their HDF5 files until they are asked for, for data larger than the memory."""
    loader_workers: int = 0
    """Processes that load batches; results do not depend on it."""
    pin_memory: bool = False
    """Load batches into page-locked memory, from which they reach a GPU faster."""

    def choice(self, dataset: str) -> DataChoice:
        named = {
            "num_samples": self.num_samples,
            "points": self.points,
            "resolution": self.resolution,
            "seed": self.data_seed,
            "source": self.source,
        }
        arguments = {name: value for name, value in named.items() if value is not None}
        return DataChoice(
            dataset=dataset,
            dataset_args={**arguments, **pairs(self.data_args)},
            protocol=self.protocol,
            split_seed=self.split_seed,
            task=self.task,
            task_args=pairs(self.task_args) or None,
            inputs=self.inputs,
            without=self.without,
            root=self.root,
            workers=self.workers,
            on_disk=self.on_disk,
            loader_workers=self.loader_workers,
            pin_memory=self.pin_memory,
        )


@dataclass(frozen=True, kw_only=True)
class DataOptions(SourceOptions):
    dataset: str
    """A dataset's name (`pyg-neuralops data` lists them), an .h5 file, or package.module:Class of your own."""

    @classmethod
    def from_choice(cls, choice: DataChoice) -> DataOptions:
        names = {"dataset", "protocol", "split_seed", "task", "inputs", "without", "root", "workers"}
        names |= {"on_disk", "loader_workers", "pin_memory"}
        given, options = dict(choice.dataset_args), {"data_seed": "seed"}
        found: dict[str, Any] = {name: getattr(choice, name) for name in names}
        for option in ("num_samples", "points", "resolution", "data_seed", "source"):
            found[option] = given.pop(options.get(option, option), None)
        return cls(**found, data_args=words(given), task_args=words(choice.task_args or {}))


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Recipe):
    epochs: Count | None = None
    """Budget in epochs; 20 unless --steps or --seconds is given."""
    steps: Count | None = None
    """Budget in steps of the optimizer."""
    seconds: Positive | None = None
    """Budget in seconds of pure training, the same for every model."""

    def __post_init__(self) -> None:
        if all(getattr(self, name) is None for name in BUDGETS):
            object.__setattr__(self, "epochs", 20)
        super().__post_init__()


def words(found: Mapping[str, Any]) -> tuple[str, ...]:
    """``{"k": 29, "local": False} -> ("k=29", "local=false")``."""
    return tuple(f"{name}={json.dumps(value)}" for name, value in found.items())


def pairs(words: Sequence[str]) -> dict[str, Any]:
    """``["k=29", "local=false"] -> {"k": 29, "local": False}``; values are JSON or Python's, or else strings."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise ValueError(f"{word!r} is not of the form name=value")
        try:
            found[name] = json.loads({"True": "true", "False": "false", "None": "null"}.get(value, value))
        except ValueError:
            found[name] = value
    return found


def said(found: Mapping[str, Any]) -> str:
    """``"relative_l2: mean 3.2%, median 3.0%; by channel: u 2.9%, p 4.1%"`` of summaries of errors.

    Of each mean it is said which samples have none.
    """
    from ..study.notes import gaps
    from ..study.table import show

    metric, test = found["test"]["metric"], found["test"]
    text = f"{metric}: mean {show(metric, test['mean'])}{gaps(test)}, median {show(metric, test['median'])}"
    channels = {name: each for name, each in found["metrics"].items() if name.startswith(f"{metric}/")}
    each = ", ".join(
        f"{name.partition('/')[2]} {show(metric, one['mean'])}{gaps(one)}" for name, one in channels.items()
    )
    return text + (f"; by channel: {each}" if each else "")
