"""``pyg-neuralops compare``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

from ..recipe import BUDGETS, Count
from ..study.settings import Comparison, ModelChoice, Recipe, Seed
from .options import DataOptions, TrainingOptions

_PARTS = {"training": Recipe, "size": ModelChoice}


@dataclass(frozen=True)
class Compare:
    """Compare models on one dataset at a matched budget, with trivial baselines in the same table.

    Started again with the same arguments, finished runs are kept and an interrupted one goes on.
    """

    data: DataOptions
    training: TrainingOptions = field(default_factory=TrainingOptions)
    size: ModelChoice = field(default_factory=ModelChoice)
    models: tuple[str, ...] = ("la2former", "mesh-graph-net", "graph-sage", "gatv2")
    """Registry names, or package.module:Class (the current folder is searched too)."""
    seeds: Count = 1
    """Number of seeds."""
    seed: Seed = 0
    """The first seed."""
    out: str = "runs/comparison"
    """Folder of the results: table.md and .csv, results.json, error_vs_time.png, fields.png, windows.png."""
    jobs: Count = 1
    """Runs at a time; with more than one, each is a process of one thread."""
    metrics: tuple[str, ...] = ()
    """In the table, the first decides: relative_l2, relative_max, r2, per-channel ... or package.module:function."""
    overrides: tyro.conf.Suppress[dict[str, Any]] = field(default_factory=dict)
    recipe: str | None = None
    """A TOML file of settings; what else is given here replaces the file's."""

    def run(self) -> None:
        from ..executors import cluster_executor
        from ..study.comparison import compare

        if self.jobs > 1 and self.data.cluster is not None:
            raise ValueError(f"jobs={self.jobs} and cluster={self.data.cluster!r}; give one of them")
        comparison = Comparison(
            **vars(self.data.choice(self.data.dataset)),
            **dataclasses.asdict(self.training),
            **dataclasses.asdict(self.size),
            models=self.models,
            seeds=self.seeds,
            seed=self.seed,
            out=self.out,
            metrics=self.metrics,
            # A recipe's overrides of models that were not asked for.
            overrides={label: changes for label, changes in self.overrides.items() if label in self.models},
        )
        with cluster_executor(self.data.cluster) as executor:
            compare(comparison, jobs=self.jobs, executor=executor)
        out = Path(self.out)
        print("\n" + (out / "table.md").read_text())
        print(f"results: {out / 'results.json'}, figures: {out / 'error_vs_time.png'}, {out / 'fields.png'}")

    @classmethod
    def from_recipe(cls, path: str, given: Mapping[str, str]) -> Compare:
        """What stands in a file, for the options that are not ``given`` on the command line."""
        changes: dict[str, Any] = {"dataset": given["dataset"]} if "dataset" in given else {}
        # The budget is one setting: seconds here replace epochs there.
        budget = [name for name in BUDGETS if name in given]
        changes |= {**dict.fromkeys(BUDGETS), budget[0]: 1} if budget else {}
        found = Comparison.from_toml(path, **changes)
        parts = {name: {item.name for item in dataclasses.fields(part)} for name, part in _PARTS.items()}  # type: ignore[arg-type]
        groups = {name: {key: getattr(found, key) for key in keys} for name, keys in parts.items()}
        return cls(
            data=DataOptions.from_choice(found),
            training=TrainingOptions(**groups["training"]),
            size=ModelChoice(**groups["size"]),
            models=found.models,
            seeds=found.seeds,
            seed=found.seed,
            out=found.out,
            metrics=found.metrics,
            overrides=dict(found.overrides),
            recipe=path,
        )
