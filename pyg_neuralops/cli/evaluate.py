"""``pyg-neuralops evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..study.settings import Accelerator, Count
from .options import DataOptions


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
        from ..checkpoint import load_info, load_model
        from ..data import mesh_loader
        from ..engine import evaluate, make_task, task_of
        from ..study.data import load_split, task_settings
        from ..study.machine import compute_device
        from ..study.provenance import environment, write_json
        from ..study.run import check_channels, summary
        from ..study.table import percent

        device = compute_device(self.accelerator)
        out = Path(self.out) if self.out else Path(self.checkpoint).with_name(f"errors-{self.split}.json")
        if out.suffix != ".json":
            raise ValueError(f"out={self.out!r}; the errors are written to a .json file")
        model = load_model(self.checkpoint, trust_import=self.trust_import)
        trained = load_info(self.checkpoint).get("data", {})
        choice = self.data.choice(self.data.dataset)
        samples, info = load_split(choice, self.split)
        task = (
            make_task(**task_settings(choice)) if self.data.task else task_of(trained, trust_import=self.trust_import)
        )
        if samples[0].get("y") is None:
            raise ValueError(f"{self.data.dataset} has no target fields y to compare with; use predict")
        check_channels(model, task, samples[0])
        loader = mesh_loader(samples, self.batch_size, max_nodes=self.max_nodes)
        errors = summary(evaluate(model, loader, task, device))
        write_json(
            out,
            {
                "checkpoint": self.checkpoint,
                "split": self.split,
                "data": info,
                "errors": errors,
                "environment": environment(),
            },
        )
        low, high = errors["quantiles"]["0.05"], errors["quantiles"]["0.95"]
        print(
            f"relative L2 on {len(samples)} {self.split} samples: mean {percent(errors['mean'])}, median "
            f"{percent(errors['median'])}, 5% to 95%: {percent(low)} to {percent(high)}"
        )
        print(f"errors: {out}")
