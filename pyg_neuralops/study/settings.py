"""Settings of a study as frozen dataclasses; plain Python, without torch.

Every field is checked against its annotation when an object is made, whether Python, a file or a command line made it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from ..recipe import BUDGETS, MACHINE, Count, FitRecipe, Settings, hints_of
from ..typed import Range, closest, typed, unknown
from .toml import read_toml

Seed = Annotated[int, Range(0, 2**63 - 1)]  # what torch and NumPy both take
Geometry = Literal["boundary-distance", "boundary-marks", "local-spacing", "normals"]
Mode = Literal["channel", "scalar", "none"]


@dataclass(frozen=True, kw_only=True)
class DataChoice(Settings):
    """Which samples, and how they are split."""

    dataset: str
    """A dataset's name, the path of an HDF5 file in the library's schema, or package.module:Class of your own."""
    dataset_args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the dataset, such as num_samples, points or resolution."""
    protocol: Literal["standard", "paper"] = "standard"
    """"standard" selects on val and reads test once; "paper" has no val and keeps the last epoch."""
    split_seed: Seed = 0
    """Fixes the random split of data that bring none."""
    task: str | None = None
    """steady, steady-gradient, next-frame, time-query, graph-value or package.module:Class; by default the
    dataset's own."""
    task_args: Mapping[str, Any] | None = None
    """Arguments of the task, such as times=20 for time-query."""
    inputs: tuple[Geometry, ...] = ()
    """Channels of the geometry to append to x: boundary-distance, boundary-marks, local-spacing, normals."""
    without: tuple[str, ...] = ()
    """Names of input channels to leave out."""
    root: str | None = None
    """Folder of the data, or of a file's cache; a default beside it otherwise."""
    workers: Annotated[int, Range(0)] | None = None
    """Processes that generate a dataset that is not there yet; all cores by default."""
    on_disk: bool = False
    """Leave the samples in their HDF5 files until they are asked for, for data larger than the memory."""
    loader_workers: Annotated[int, Range(0)] = 0
    """Processes that load batches, for every run; results do not depend on it."""
    pin_memory: bool = False
    """Load batches into page-locked memory, from which they reach a GPU faster."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.on_disk and (self.inputs or self.without):
            raise ValueError("inputs and without need the samples in memory; choose on_disk=False")
        if len({*self.inputs}) < len(self.inputs):
            raise ValueError(f"inputs={list(self.inputs)} names one more than once")

    @property
    def loading(self) -> dict[str, Any]:
        """As :func:`pyg_neuralops.data.mesh_loader` takes it."""
        return {"num_workers": self.loader_workers, "pin_memory": self.pin_memory}


@dataclass(frozen=True, kw_only=True)
class Recipe(FitRecipe):
    """How a model is trained on samples: :class:`pyg_neuralops.recipe.FitRecipe`, with batches and normalisation."""

    batch_size: Count = 8
    """Most samples in a batch, which all devices share; with a task in time, most single steps or times."""
    max_nodes: Count | None = None
    """Most nodes in a batch."""
    logger: tuple[str, ...] = ()
    """Where else the rows of the history go: csv, tensorboard, or package.module:Class, such as one of Lightning's."""
    normalize_x: Mode = "channel"
    """Input fields: one mean and std per channel, one scalar for all, or none."""
    normalize_y: Mode = "channel"
    """Target fields, likewise."""
    normalize_pos: Literal["auto", "channel", "scalar", "none", "quantile"] = "auto"
    """Positions as encoders see them: one std per axis, one scalar for all (keeps the shape), none (raw), or by
    quantiles of the nodes, for bodies in wide domains; auto is what suits the dataset: quantile for airfoil, channel
    for all others."""

    def modes(self, positions: str = "channel") -> dict[str, str]:
        """Of ``x``, ``y`` and ``pos``, with ``positions`` for "auto"."""
        pos = positions if self.normalize_pos == "auto" else self.normalize_pos
        return {"x": self.normalize_x, "y": self.normalize_y, "pos": pos}


@dataclass(frozen=True, kw_only=True)
class ModelChoice(Settings):
    """Size of the models; a model's own default where None."""

    hidden_channels: Count | None = None
    """Width."""
    num_layers: Count | None = None
    """Depth."""


@dataclass(frozen=True, kw_only=True)
class Comparison(DataChoice, Recipe, ModelChoice):
    """Models x seeds on one dataset at a matched budget.

    ``overrides`` holds what is different for one model: its constructor's arguments, or fields of
    :class:`Recipe` other than the budget. An entry ``model`` makes the key a label, so that one class enters
    twice: ``{"global-only": {"model": "la2former", "local": False}}``.

    Raises:
        ValueError: for a setting out of range; says what is allowed.
    """

    models: tuple[str, ...] = ("la2former", "mesh-graph-net", "graph-sage", "gatv2")
    """Registry names, labels in overrides, or package.module:Class."""
    seeds: Annotated[int, Range(1, 10_000)] = 1
    """Number of seeds; each changes initial weights and batches, not the split."""
    seed: Seed = 0
    """First seed."""
    out: str = "runs/comparison"
    """Folder of the results."""
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By model: what differs from the rest."""
    metrics: tuple[str, ...] = ()
    """Those in the table, the first decides; the task's first by default. "per-channel" adds the worst channel."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.models:
            raise ValueError("models is empty; give at least one")
        double = sorted({name for name in self.models if self.models.count(name) > 1})
        if double:
            raise ValueError(f"models names {double} more than once")
        for label, changes in self.overrides.items():
            if label not in self.models:
                there = f"the models {list(self.models)}{closest(label, self.models)}"
                raise ValueError(f"overrides for {label!r}, which is not among {there}")
            if {*BUDGETS} & set(changes):
                raise ValueError(f"overrides for {label!r} change the budget, which must be equal for all models")
            if {*MACHINE} & set(changes):
                raise ValueError(
                    f"overrides for {label!r} change {sorted({*MACHINE} & set(changes))}, one for all models"
                )
            try:
                self.recipe(label)
                self.model(label)
            except ValueError as error:
                raise ValueError(f"overrides for {label!r}: {error}") from None

    def recipe(self, label: str) -> Recipe:
        """How the model called ``label`` is trained."""
        names = [item.name for item in dataclasses.fields(Recipe)]
        changes = self.overrides.get(label, {})
        found = Recipe(**{name: changes.get(name, getattr(self, name)) for name in names})
        return found.for_model(changes.get("model", label))

    def model(self, label: str) -> tuple[str, dict[str, Any]]:
        """The registry name and the constructor's arguments of the model called ``label``."""
        changes = self.overrides.get(label, {})
        names = {item.name for item in dataclasses.fields(Recipe)}
        sizes = {
            item.name: changes.get(item.name, getattr(self, item.name)) for item in dataclasses.fields(ModelChoice)
        }
        kwargs = vars(ModelChoice(**sizes)) | {
            name: value for name, value in changes.items() if name not in (*names, *sizes, "model")
        }
        name = typed(changes.get("model", label), str, "model")
        return name, {key: value for key, value in kwargs.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        lists = {name: list(getattr(self, name)) for name in ("models", "metrics", "logger", "inputs", "without")}
        return {**dataclasses.asdict(self), **lists}

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], **changes: Any) -> Comparison:
        """A comparison from a recipe file: a key for each field, tables for ``dataset_args`` and ``overrides``.

        Args:
            path: the file.
            changes: fields that replace the file's.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: naming the file, if it is not TOML, has an unknown key (says which there are) or a wrong value.
        """
        found, hints = read_toml(path), hints_of(cls)
        unknown(found, hints, f"{path} has unknown keys")
        try:
            own = {name: typed(value, hints[name], name) for name, value in found.items()}
            if "dataset" not in {**own, **changes}:
                raise ValueError("there is no key 'dataset', which says what to learn from")
            return cls(**{**own, **changes})
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
