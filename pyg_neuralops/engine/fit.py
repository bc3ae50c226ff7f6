"""``fit``: train a model under a budget, keep the best weights, survive interruptions."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.utils.data import DataLoader

from ..normalize import Normalized
from .averaging import Averaging
from .bar import Bar
from .batches import EpochBatches, draws_of_its_own, seed_draws
from .budget import Budget
from .clock import Clock
from .identity import check_comparable, identity
from .memory import peak_memory, reset_peak_memory
from .module import Training
from .optimizers import make_optimizer
from .quiet import quiet
from .record import Record, WholeFiles, check_vacant, read_record, sole_user
from .schedule import OneCycle
from .task import SteadyField, Task
from .trial import check_saving

PRECISIONS = ("32-true", "64-true", "16-mixed", "bf16-mixed")


@dataclass(frozen=True)
class FitResult:
    """What a run did.

    Attributes:
        history: a row an epoch: ``epoch`` (from 1), ``seconds`` of training so far, ``batches``, ``lr``, ``loss``,
            ``val`` (None without validation), and mean gates (``gate0`` ..., by layer) where fusions have them.
        best_epoch, best_val: of the selected weights.
        seconds: pure training time, over all resumptions.
        peak_memory: bytes; of the accelerator if one was used, else of the process. This call only.
        resumed: whether the run went on from a checkpoint.
    """

    history: list[dict[str, Any]]
    best_epoch: int
    best_val: float | None
    seconds: float
    peak_memory: int
    resumed: bool


def fit(
    model: Normalized,
    train_loader: DataLoader,
    val_loader: DataLoader | None,
    *,
    out: str | os.PathLike[str],
    task: Task | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    optimizer: str = "adamw",
    lr: float = 1e-3,
    lr_rest: float = 0.5,
    lr_scalars: float = 1.0,
    weight_decay: float = 1e-5,
    clip: float | None = 0.1,
    pct_start: float = 0.3,
    div: float = 25.0,
    ema: float | None = None,
    patience: int | None = None,
    seed: int = 0,
    resume: bool = True,
    precision: Any = "32-true",
    accelerator: str = "auto",
    progress: bool = True,
    label: str = "",
    info: dict[str, Any] | None = None,
) -> FitResult:
    """Train with one cycle of the learning rate; on return the model holds the selected weights.

    A run that was killed goes on from its last whole epoch when it is started again with the same arguments, and
    under a budget of epochs reaches the same losses to the last digit. The caller's random state is left alone.

    Args:
        model: predicts in physical units, so that the loss is that of decoded fields.
        train_loader: shuffled batches (:func:`pyg_neuralops.data.mesh_loader`) of the task's items.
        val_loader: batches of samples; selects the weights by the mean of the task's metric. None keeps those of the
            last epoch.
        out: folder of the run, made when absent; see :class:`pyg_neuralops.engine.record.Record` for its files.
        task: ``SteadyField()`` by default.
        epochs, seconds: the budget, exactly one of them; seconds are of pure training.
        optimizer: "adamw", "muon", or a user's own by import path (:func:`.optimizers.make_optimizer`).
        lr, weight_decay, pct_start, div: peak of the learning rate, decoupled decay of weights, rising part of the
            cycle, and peak over start.
        lr_rest, lr_scalars: multiples of the rate, for what Muon leaves to AdamW, and for masks and gates.
        clip: largest norm of the gradient; None for no clipping.
        ema: decay of a moving average of the weights, which is then validated and kept.
        patience: stop after so many epochs without a better validation error.
        seed: of batches and of everything drawn during training, by (seed, epoch).
        resume: whether to go on from ``out``; False starts anew and overwrites.
        precision: "32-true", "64-true", "16-mixed" or "bf16-mixed". accelerator: Lightning's, such as "cpu".
        progress, label: a progress bar on terminals, and its title.
        info: provenance to store with the weights, anything JSON can hold.

    Raises:
        ValueError: for a bad setting, if ``out`` holds a run with other settings, code or data or is in use, or if what
            cannot be compared with an earlier run is to be gone on with.
        FloatingPointError: naming epoch and learning rate, if the loss becomes NaN.
        OSError: if ``out`` cannot be written.
    """
    if not isinstance(model, Normalized):
        raise ValueError(f"model is a {type(model).__name__}; wrap it with pyg_neuralops.normalize.normalized")
    for name, loader in (("train_loader", train_loader), ("val_loader", val_loader)):
        if not isinstance(loader, DataLoader) and (loader is not None or name == "train_loader"):
            raise ValueError(f"{name} is a {type(loader).__name__}; make it with data.mesh_loader(samples, batch_size)")
    if str(precision) not in PRECISIONS:
        raise ValueError(f"precision={precision!r}; choose from {list(PRECISIONS)}")
    task, budget, out = SteadyField() if task is None else task, Budget(epochs, seconds), Path(out)
    for name, value in (("clip", clip), ("patience", patience)):
        if value is not None and value <= 0:
            raise ValueError(f"{name}={value}; it must be positive, or None")
    for name, value in (("lr_rest", lr_rest), ("lr_scalars", lr_scalars)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name}={value}; it must be positive")
    if patience is not None and val_loader is None:
        raise ValueError(f"patience={patience} needs validation samples")
    settings: dict[str, Any] = dict(epochs=epochs, seconds=seconds, lr=lr, weight_decay=weight_decay, clip=clip)
    settings |= dict(pct_start=pct_start, div=div, ema=ema, patience=patience, seed=seed, precision=str(precision))
    settings |= dict(optimizer=optimizer, lr_rest=lr_rest, lr_scalars=lr_scalars)
    schedule = OneCycle(lr, pct_start, div)

    def make(model: nn.Module) -> torch.optim.Optimizer:
        return make_optimizer(model, optimizer, lr, weight_decay, lr_rest=lr_rest, lr_scalars=lr_scalars)

    with draws_of_its_own():
        seed_draws(seed, 0)
        make(model)  # refused before anything is read or written
        check_saving(model, task, train_loader.dataset[0])
        this = identity(model, task, train_loader, val_loader, settings)
    if resume:
        check_comparable(this)
    batches, clock = EpochBatches(train_loader, seed), Clock(seconds)
    averaging = None if ema is None else Averaging(ema)
    record = Record(out, this, settings, info or {}, batches, clock, averaging)
    spent = [0.0]

    def spend(epoch: int, batch: int) -> float:
        spent[0] = budget.progress(epoch + batch / batches.num_batches, clock.seconds)
        return spent[0]

    module = Training(model, task, schedule, spend, make)
    callbacks: list[Callback] = [clock, record]
    callbacks += [] if averaging is None else [averaging]
    callbacks += [Bar(label, lambda: spent[0], lambda: record.history)] if progress else []
    with sole_user(out), draws_of_its_own(), quiet():
        last = out / "last.ckpt"
        state = read_record(last, this) if resume and last.exists() else None
        if state is None:
            if resume:
                check_vacant(out)
            record.clear()
        else:
            record.load_state_dict(state)
            record.settle()
            batches.set_epoch(len(record.history))
            spent[0] = budget.progress(len(record.history), record.history[-1]["seconds"])
        reset_peak_memory()
        trainer = Trainer(
            max_epochs=-1 if epochs is None else epochs,
            accelerator=accelerator,
            devices=1,
            precision=precision,
            gradient_clip_val=clip,
            callbacks=callbacks,
            plugins=[WholeFiles()],
            default_root_dir=out,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        if not record.finished:
            module.train()
            trainer.fit(module, batches, val_loader, ckpt_path=last if state else None, weights_only=True)
        record.load_best(model)
    model.eval()
    assert record.best is not None
    return FitResult(
        history=record.history,
        best_epoch=record.best["epoch"],
        best_val=record.best["val"],
        seconds=record.history[-1]["seconds"],
        peak_memory=peak_memory(trainer.strategy.root_device.type == "cuda"),
        resumed=state is not None,
    )
