"""``fit``: train a model under a budget, keep the best weights, survive interruptions."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..data.draws import draws_of_its_own, seed_draws
from ..models import model_name
from ..normalize import Normalized
from ..recipe import FitRecipe
from .batches import Batches
from .identity import Identity, check_comparable, check_same, identity
from .loggers import Logger, telling
from .loop import Loop, mean_error
from .machine import make_fabric
from .memory import peak_memory, reset_peak_memory
from .optimizers import optimizer_of
from .ranks import Ranks
from .record import Record, check_vacant, read_last, sole_user
from .task import SteadyField, Task
from .trial import check_saving


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
    recipe: FitRecipe | None = None,
    *,
    out: str | os.PathLike[str],
    task: Task | None = None,
    fabric: Fabric | None = None,
    loggers: Sequence[Logger] = (),
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
    seed: int = 0,
    resume: bool = True,
    progress: bool = True,
    label: str = "",
    info: dict[str, Any] | None = None,
    **settings: Any,
) -> FitResult:
    """Train with one cycle of the learning rate; on return the model holds the selected weights.

    A run that was killed goes on from its last whole epoch when it is started again with the same arguments, and
    under a budget of epochs or steps reaches the same losses to the last digit. The caller's random state stays.

    Several processes (``devices``, ``num_nodes``, torchrun, Slurm) share every batch and take the steps that one would;
    each calls this with the same arguments, rank 0 writes, and all return the same but their peak of memory.

    Args:
        model: predicts in physical units, so that the loss is that of decoded fields.
        train_loader: shuffled batches (:func:`pyg_neuralops.data.mesh_loader`) of the task's items.
        val_loader: batches of samples; selects the weights by the mean of the task's metric. None keeps those of the
            last epoch.
        recipe: how to train, and for how long.
        out: folder of the run, made when absent; see :class:`pyg_neuralops.engine.record.Record` for its files.
        task: ``SteadyField()`` by default.
        fabric: one that has been launched, in place of what the recipe says of accelerator, devices and strategy.
        loggers: Lightning's, or alike; get every row of the history.
        on_epoch: called on rank 0 with the row of every epoch before it is kept; a run ends where it returns True.
        seed: of batches and of everything drawn during training, by (seed, epoch).
        resume: whether to go on from ``out``; False starts anew and overwrites.
        progress, label: a progress bar on terminals, and its title.
        info: provenance to store with the weights, anything JSON can hold.
        settings: fields of the recipe (:class:`pyg_neuralops.recipe.FitRecipe`), such as ``epochs=100, lr=1e-3``; they
            replace those of ``recipe``.

    Raises:
        ValueError: for a bad setting, if ``out`` holds a run with other settings, code or data or is in use, or if what
            cannot be compared with an earlier run is to be gone on with.
        FloatingPointError: naming epoch and learning rate, if the loss becomes NaN.
        OSError: if ``out`` cannot be written.
    """
    recipe = FitRecipe(**settings) if recipe is None else dataclasses.replace(recipe, **settings)
    task, out = SteadyField() if task is None else task, Path(out)
    _check_arguments(model, train_loader, val_loader, recipe, fabric)
    recipe = recipe.for_model(model_name(model.model))
    if fabric is None:
        fabric = make_fabric(recipe)
        fabric.launch()
    ranks = Ranks(fabric)
    with draws_of_its_own():
        seed_draws(seed, 0)
        this = ranks.together(lambda: _checked(model, train_loader, val_loader, recipe, task, seed, resume))
    same = ranks.first(lambda: this)
    ranks.together(lambda: check_same(same, this))
    record = Record(out, this, info or {})
    with ExitStack() as held:
        held.enter_context(draws_of_its_own())
        state = ranks.first(lambda: _begin(record, resume, held))
        resumed = state is not None
        reset_peak_memory()
        loop = Loop(model, task, recipe, seed, ranks)
        if state is not None:
            record.load_state_dict(state["record"])
            loop.load_state_dict(state)
            state = None  # the weights in it
        batches = Batches(train_loader, ranks, recipe.accumulate)
        validation = None if val_loader is None else Batches(val_loader, ranks)
        bar = held.enter_context(_bar(label, loop.spent(len(record.history)), progress and ranks.rank == 0))
        settings = {**recipe.settings(), "seed": seed}
        tell: list[Callable[[dict[str, Any]], None]] = []
        ranks.first(lambda: tell.append(held.enter_context(telling(loggers, settings))))

        def advance(spent: float) -> None:
            bar.update(spent - bar.n)

        def add(row: dict[str, Any]) -> None:
            record.add({**row, **loop.gates()}, model)
            tell[0](record.history[-1])

        def keep() -> dict[str, Any]:
            row = record.history[-1]
            stop = on_epoch is not None and on_epoch(row) is True
            tired = recipe.patience is not None and row["epoch"] - record.best_epoch >= recipe.patience
            record.finished = stop or tired or loop.spent(row["epoch"]) >= 1
            record.keep(loop.state_dict())
            return record.state_dict()

        while not record.finished:
            number = len(record.history)
            bar.set_description_str(_said(label, record.history), refresh=False)
            row = {"epoch": number + 1, **loop.epoch(number, batches, advance), "val": None}
            with loop.averaging.in_place():
                if validation is not None:
                    row["val"] = mean_error(loop.validate(validation), number, row["lr"])
                ranks.first(partial(add, row))
            record.load_state_dict(ranks.first(keep))
        model.load_state_dict(ranks.first(record.best_state))
        model.to("cpu").eval()
    assert record.best is not None
    return FitResult(
        history=record.history,
        best_epoch=record.best["epoch"],
        best_val=record.best["val"],
        seconds=record.history[-1]["seconds"],
        peak_memory=peak_memory(fabric.device.type == "cuda"),
        resumed=resumed,
    )


def _check_arguments(
    model: Normalized, train: DataLoader, val: DataLoader | None, recipe: FitRecipe, fabric: Fabric | None
) -> None:
    if not isinstance(model, Normalized):
        raise ValueError(f"model is a {type(model).__name__}; wrap it with pyg_neuralops.normalize.normalized")
    for name, loader in (("train_loader", train), ("val_loader", val)):
        if not isinstance(loader, DataLoader) and (loader is not None or name == "train_loader"):
            raise ValueError(f"{name} is a {type(loader).__name__}; make it with data.mesh_loader(samples, batch_size)")
    if recipe.patience is not None and val is None:
        raise ValueError(f"patience={recipe.patience} needs validation samples")
    if fabric is not None and fabric.world_size > 1 and not torch.distributed.is_initialized():
        raise ValueError("this fabric has not started its processes; call fabric.launch() first")
    if fabric is not None and fabric.strategy.precision.precision != recipe.precision:
        there = fabric.strategy.precision.precision
        raise ValueError(f"precision={recipe.precision!r}, but the fabric computes in {there!r}; give the same to both")


def _checked(
    model: Normalized,
    train: DataLoader,
    val: DataLoader | None,
    recipe: FitRecipe,
    task: Task,
    seed: int,
    resume: bool,
) -> Identity:
    """The run's identity, once all that can be refused before anything is written has been looked at."""
    optimizer_of(recipe, model)
    check_saving(model, task, train.dataset[0])
    this = identity(model, task, train, val, {**recipe.settings(), "seed": seed})
    if resume:
        check_comparable(this)
    return this


def _begin(record: Record, resume: bool, held: ExitStack) -> dict[str, Any] | None:
    """Hold the run's folder and bring it in order. Returns what to go on from, None for a new run."""
    held.enter_context(sole_user(record.out))
    last = record.out / "last.ckpt"
    if resume and last.exists():
        state = read_last(last, record.identity)
        record.load_state_dict(state["record"])
        record.settle()
        return state
    if resume:
        check_vacant(record.out)
    record.clear()
    return None


def _bar(label: str, spent: float, shown: bool) -> tqdm:
    """Fills with the spent budget; silent where there is no terminal."""
    look = "{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
    hidden = None if shown else True
    return tqdm(desc=label, total=1.0, initial=spent, disable=hidden, leave=False, dynamic_ncols=True, bar_format=look)


def _said(label: str, history: list[dict[str, Any]]) -> str:
    """What the bar tells of an epoch: its number, and loss and validation error of the last one."""
    text = f"{label}epoch {len(history) + 1}"
    if history:
        text += f", loss {history[-1]['loss']:.4f}"
        text += "" if history[-1]["val"] is None else f", val {history[-1]['val']:.4f}"
    return text
