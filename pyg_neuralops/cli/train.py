"""``pyg-neuralops train``."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from ..study.settings import ModelChoice, Recipe, Seed
from .options import DataOptions, TrainingOptions, pairs


@dataclass(frozen=True)
class Train:
    """Train one model; started again with the same arguments, an interrupted run goes on."""

    data: DataOptions
    training: TrainingOptions = field(default_factory=TrainingOptions)
    size: ModelChoice = field(default_factory=ModelChoice)
    model: str = "la2former"
    """A registry name, or package.module:Class (the current folder is searched too)."""
    model_args: tuple[str, ...] = ()
    """Further arguments of the model, as name=value."""
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """A checkpoint to train on from: its model and weights are taken, --model and the size are not."""
    replace: tuple[str, ...] = ()
    """With --from, parts to start anew where channels differ: encoder, decoder."""
    trust_import: bool = False
    """Allow the checkpoint to name classes of your own, which are then imported."""
    metrics: tuple[str, ...] = ()
    """Further metrics of the result, package.module:function of your own."""
    dry_run: bool = False
    """Only tell parameters, time and memory to expect, found out on two batches; nothing is written."""
    seed: Seed = 0
    """Of initial weights and batches."""
    out: str = "runs/train"
    """Folder of the run: best.safetensors, result.json, history.csv, last.ckpt."""

    def run(self) -> None:
        from ..checkpoint import load_model
        from ..engine.estimate import estimate
        from ..engine.loggers import LOGGERS
        from ..engine.machine import make_fabric
        from ..engine.ranks import Ranks
        from ..executors import cluster_executor
        from ..models import build_model, model_name
        from ..resolve import resolve
        from ..study.automatic_k import find_k, is_automatic, k_of_run, with_k
        from ..study.data import Splits, as_trained, load_splits
        from ..study.notes import gaps
        from ..study.run import assembled, check_run_folder, prepare, train_run
        from ..study.table import show

        out = Path(self.out)
        recipe = Recipe(**dataclasses.asdict(self.training))
        for name in recipe.logger:
            resolve(name, LOGGERS, "logger")
        fabric = make_fabric(recipe)
        fabric.launch()
        ranks = Ranks(fabric)
        if ranks.rank:
            logging.disable(logging.WARNING)  # said by rank 0
        ranks.first(lambda: check_run_folder(out))
        if self.replace and self.from_ is None:
            raise ValueError(f"replace={list(self.replace)} needs --from")

        choice = self.data.choice(self.data.dataset)
        if self.from_ is not None:
            choice = as_trained(choice, self.from_)

        def load() -> Splits:
            with cluster_executor(self.data.cluster) as executor:
                return load_splits(choice, executor)

        splits = ranks.lead(load)
        if self.from_ is None:
            name, kwargs = self.model, dataclasses.asdict(self.size)
        else:
            found = load_model(self.from_, trust_import=self.trust_import).model
            name = model_name(found)
            kwargs = {key: value for key, value in found.config.items() if key not in splits.shape}
        kwargs = {key: value for key, value in kwargs.items() if value is not None} | pairs(self.model_args)
        if is_automatic(kwargs):
            if ranks.size > 1:
                raise ValueError("patches with k='auto' are chosen on one device; train on one, or give the K found")
            kwargs = with_k(kwargs, k_of_run(out) or find_k(name, kwargs, splits, recipe)["k"])
        prepared = prepare(build_model(name, **splits.shape, **kwargs), splits)
        if self.dry_run:
            model, train, _ = assembled(splits, prepared, name, kwargs, recipe, self.seed, self.from_, self.replace)
            expected = estimate(model, train, splits.task, recipe, ranks, self.seed)
            if ranks.rank == 0:
                print(f"{name}: {expected}")
            return
        result = train_run(
            splits,
            prepared,
            name,
            kwargs,
            recipe,
            self.seed,
            out,
            initial=self.from_,
            replace=self.replace,
            metrics=self.metrics,
            fabric=fabric,
            title=f"{name}: ",
        )
        if ranks.rank:
            return
        metric = result["test"]["metric"]
        val = "" if result["best_val"] is None else f", validation error {show(metric, result['best_val'])}"
        print(
            f"{name}: test error {show(metric, result['test']['mean'])}{gaps(result['test'])} (median "
            f"{show(metric, result['test']['median'])}){val}, best epoch {result['best_epoch']} of {result['epochs']}, "
            f"{result['parameters']:,} parameters, {result['train_seconds']:.0f} s of training"
        )
        print(f"model: {out / 'best.safetensors'}, result: {out / 'result.json'}")
