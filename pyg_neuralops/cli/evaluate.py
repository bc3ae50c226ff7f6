"""``pyg-neuralops evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..recipe import Accelerator, Count
from .options import DataOptions, said


@dataclass(frozen=True)
class Evaluate:
    """Errors of a trained model on a dataset."""

    data: DataOptions
    checkpoint: str
    """A model's file, such as runs/train/best.safetensors."""
    split: Literal["train", "val", "test", "all"] = "test"
    """Which samples; all of a file that was not trained on, for instance."""
    batch_size: Count = 8
    """Samples in a batch."""
    max_nodes: Count | None = None
    """Most nodes in a batch."""
    accelerator: Accelerator = "auto"
    """Where to compute."""
    out: str | None = None
    """The JSON file to write; errors-<split>.json beside the checkpoint by default."""
    trust_import: bool = False
    """Allow the checkpoint to name a class of your own, which is then imported."""

    def run(self) -> None:
        from ..checkpoint import load_model
        from ..data import mesh_loader
        from ..engine import evaluate, make_task, task_of
        from ..engine.machine import compute_device
        from ..executors import cluster_executor
        from ..study.data import as_trained, load_split, task_settings, trained_on
        from ..study.provenance import environment, write_json
        from ..study.run import check_channels
        from ..study.scores import summaries
        from ..study.table import show

        device = compute_device(self.accelerator)
        out = Path(self.out) if self.out else Path(self.checkpoint).with_name(f"errors-{self.split}.json")
        if out.suffix != ".json":
            raise ValueError(f"out={self.out!r}; the errors are written to a .json file")
        model = load_model(self.checkpoint, trust_import=self.trust_import)
        trained = trained_on(self.checkpoint)
        choice = as_trained(self.data.choice(self.data.dataset), self.checkpoint)
        with cluster_executor(self.data.cluster) as executor:
            samples, info = load_split(choice, self.split, executor)
        if choice.task:
            task = make_task(**task_settings(choice))
        else:  # what it was trained for, at the arguments that are given
            asked = {"name": "steady", **trained["task"], **(choice.task_args or {})}
            task = task_of({"task": asked}, self.trust_import)
        if samples[0].get("y") is None:
            raise ValueError(f"{self.data.dataset} has no target fields y to compare with; use predict")
        check_channels(model, task, samples[0])
        loader = mesh_loader(samples, self.batch_size, max_nodes=self.max_nodes, **choice.loading)
        scores = evaluate(model, loader, task, device)
        found = summaries(scores, info["names"].get("y", ()), samples)
        errors, metric = found["test"], found["test"]["metric"]
        write_json(
            out,
            {
                "checkpoint": self.checkpoint,
                "split": self.split,
                "data": info,
                "errors": errors,
                "metrics": found["metrics"],
                "environment": environment(),
            },
        )
        low, high = (show(metric, errors["quantiles"][q]) for q in ("0.05", "0.95"))
        print(f"{len(samples)} {self.split} samples, {said(found)}; 5% to 95% of samples: {low} to {high}")
        print(f"errors: {out}")
