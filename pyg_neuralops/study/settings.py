"""Settings of a study as frozen dataclasses; plain Python, without torch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODES = ("channel", "scalar", "none")


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """Which samples, and how they are split."""

    dataset: str
    """A dataset's name, or the path of an HDF5 file in the library's schema."""
    dataset_args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the dataset, such as num_samples, points or resolution."""
    protocol: str = "standard"
    """"standard" selects on val and reads test once; "paper" has no val and keeps the last epoch."""
    split_seed: int = 0
    """Fixes the random split of a file that brings none."""
    task: str | None = None
    """What is asked: steady, steady-gradient, next-frame or time-query; the dataset's own by default."""
    task_args: Mapping[str, Any] | None = None
    """Arguments of the task, such as times=20 for time-query."""
    root: str | None = None
    """Folder of the data, or of a file's cache; a default beside it otherwise."""
    workers: int | None = None
    """Processes that generate a dataset that is not there yet; all cores by default."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained. The defaults are those of the standard benchmarks where they have one."""

    epochs: int | None = None
    """Budget in epochs ..."""
    seconds: float | None = None
    """... or in seconds of pure training a run."""
    batch_size: int = 8
    """Most samples in a batch; with a task in time, most single steps or times."""
    max_nodes: int | None = None
    """Most nodes in a batch."""
    lr: float = 1e-3
    """Peak of the one-cycle learning rate."""
    weight_decay: float = 1e-5
    """Of AdamW."""
    clip: float | None = 0.1
    """Largest norm of the gradient."""
    pct_start: float = 0.3
    """Part of the run in which the learning rate rises."""
    div: float = 25.0
    """The learning rate starts at its peak over this."""
    ema: float | None = None
    """Decay of a moving average of the weights."""
    patience: int | None = None
    """Stop after so many epochs without a better validation error."""
    normalize_x: str = "channel"
    """Input fields: one mean and std per channel, one scalar for all, or none."""
    normalize_y: str = "channel"
    """Target fields, likewise."""
    normalize_pos: str = "channel"
    """Positions as encoders see them: one std per axis, one scalar for all (keeps the shape), or none (raw)."""
    precision: str = "32-true"
    """Lightning's precision, such as bf16-mixed."""
    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu ..."""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.seconds is None):
            raise ValueError(f"epochs={self.epochs}, seconds={self.seconds}; give exactly one of them")
        for name in ("normalize_x", "normalize_y", "normalize_pos"):
            if getattr(self, name) not in MODES:
                raise ValueError(f"{name}={getattr(self, name)!r}; choose from {list(MODES)}")


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Size of the models; a model's own default where None."""

    hidden_channels: int | None = None
    """Width."""
    num_layers: int | None = None
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
    seeds: int = 1
    """Number of seeds; each changes initial weights and batches, not the split."""
    seed: int = 0
    """First seed."""
    out: str = "runs/comparison"
    """Folder of the results."""
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By model: what differs from the rest."""
    metrics: tuple[str, ...] = ()
    """Those in the table, the first decides; the task's first by default. "per-channel" adds the worst channel."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "models", tuple(self.models))
        object.__setattr__(self, "metrics", (self.metrics,) if isinstance(self.metrics, str) else tuple(self.metrics))
        if not self.models:
            raise ValueError("models is empty; give at least one")
        double = sorted({name for name in self.models if self.models.count(name) > 1})
        if double:
            raise ValueError(f"models names {double} more than once")
        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds}; it is the number of seeds and must be at least 1")
        for label, changes in self.overrides.items():
            if label not in self.models:
                raise ValueError(f"overrides for {label!r}, which is not among the models {list(self.models)}")
            if {"epochs", "seconds"} & set(changes):
                raise ValueError(f"overrides for {label!r} change the budget, which must be equal for all models")

    def recipe(self, label: str) -> Recipe:
        """How the model called ``label`` is trained."""
        names = [item.name for item in dataclasses.fields(Recipe)]
        changes = self.overrides.get(label, {})
        return Recipe(**{name: changes.get(name, getattr(self, name)) for name in names})

    def model(self, label: str) -> tuple[str, dict[str, Any]]:
        """The registry name and the constructor's arguments of the model called ``label``."""
        names = {item.name for item in dataclasses.fields(Recipe)}
        kwargs = {item.name: getattr(self, item.name) for item in dataclasses.fields(ModelChoice)}
        kwargs |= {name: value for name, value in self.overrides.get(label, {}).items() if name not in names}
        name = kwargs.pop("model", label)
        return name, {key: value for key, value in kwargs.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**dataclasses.asdict(self), "models": list(self.models), "metrics": list(self.metrics)}

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], **changes: Any) -> Comparison:
        """A comparison from a recipe file: a key for each field, tables for ``dataset_args`` and ``overrides``.

        Args:
            path: the file.
            changes: fields that replace the file's.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not TOML or has an unknown key; says which there are.
        """
        try:
            import tomllib
        except ModuleNotFoundError:  # Python 3.10
            import tomli as tomllib  # type: ignore[import-not-found, no-redef]
        try:
            with open(path, "rb") as file:
                found = tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is not a TOML file: {error}") from None
        known = [item.name for item in dataclasses.fields(cls)]
        unknown = sorted(set(found) - set(known))
        if unknown:
            raise ValueError(f"{path} has unknown keys {unknown}; choose from {known}")
        return cls(**{**found, **changes})
