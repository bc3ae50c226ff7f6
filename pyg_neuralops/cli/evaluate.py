"""``pyg-neuralops evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .options import DataOptions


@dataclass(frozen=True)
class Evaluate:
    """Errors of a trained model on a dataset."""

    data: DataOptions
    checkpoint: str
    """A model's file, such as runs/train/best.safetensors."""
    split: str = "test"
    """train, val or test."""
    batch_size: int = 8
    """Samples in a batch."""
    max_nodes: int | None = None
    """Most nodes in a batch."""
    accelerator: str = "auto"
    """auto, cpu, gpu ..."""
    out: str | None = None
    """The JSON file to write; errors-<split>.json beside the checkpoint by default."""
    trust_import: bool = False
    """Allow the checkpoint to name a class of your own, which is then imported."""

    def run(self) -> None:
        from ..checkpoint import load_info, load_model
        from ..data import mesh_loader
        from ..engine import evaluate, task_of
        from ..study.data import load_splits
        from ..study.provenance import environment, write_json
        from ..study.run import check_channels, compute_device
        from ..study.scores import summaries
        from ..study.table import show

        model = load_model(self.checkpoint, trust_import=self.trust_import)
        splits = load_splits(self.data.choice(self.data.dataset))
        parts = {"train": splits.train, "val": splits.val, "test": splits.test}
        samples = parts.get(self.split)
        if not samples:
            there = [name for name, part in parts.items() if part]
            raise ValueError(f"split={self.split!r}; choose from {there}")
        task = splits.task if self.data.task else task_of(load_info(self.checkpoint).get("data", {}), self.trust_import)
        check_channels(model, task, samples[0])
        loader = mesh_loader(samples, self.batch_size, max_nodes=self.max_nodes)
        scores = evaluate(model, loader, task, compute_device(self.accelerator))
        found = summaries(scores, splits.info.get("names", {}).get("y", ()), samples)
        errors, metric = found["test"], found["test"]["metric"]
        out = Path(self.out) if self.out else Path(self.checkpoint).with_name(f"errors-{self.split}.json")
        write_json(
            out,
            {
                "checkpoint": self.checkpoint,
                "split": self.split,
                "data": splits.info,
                "errors": errors,
                "metrics": found["metrics"],
                "environment": environment(),
            },
        )
        low, high = errors["quantiles"]["0.05"], errors["quantiles"]["0.95"]
        print(
            f"{metric} on {len(samples)} {self.split} samples: mean {show(metric, errors['mean'])}, median "
            f"{show(metric, errors['median'])}, 5% to 95%: {show(metric, low)} to {show(metric, high)}"
        )
        print(f"errors: {out}")
